import Compute

/// Which of the two pipelines is trained: the published one with its quirks, or ours without them.
public enum Recipe: String, Sendable, CaseIterable, Codable {
  /// Filtered statistics, mixed labels, views drawn anew each epoch, restarts that end where
  /// training ends, causal convolutions.
  case standard
  /// As published, to be reproduced: statistics of the raw signal, labels of the first window,
  /// views drawn once, a second restart at nine tenths of the training, centred convolutions.
  case published

  /// MixUp mixes the labels by the λ it mixes the windows with.
  public var mixesLabels: Bool { self == .standard }
  /// Augmented views are drawn anew for each epoch.
  public var redrawsViews: Bool { self == .standard }
  /// Standardization is fitted to the filtered training signals, not to the raw ones.
  public var standardizesFiltered: Bool { self == .standard }
  /// Padding of the dilated convolutions.
  public var padding: Padding { self == .standard ? .causal : .same }

  /// Steps of the learning rate's first period; at least 1.
  ///
  /// - Parameters:
  ///   - samples: of an epoch, augmented views included.
  public func firstPeriod(samples: Int, batchSize: Int, epochs: Int) -> Int {
    switch self {
    case .standard:
      let steps = (samples + batchSize - 1) / batchSize * epochs
      return max(1, (steps + 2) / 3)
    case .published:
      let steps = samples / batchSize * epochs
      return max(1, Int(Double(steps) * 0.3))
    }
  }
}

/// The two networks of the ensemble.
public enum ModelKind: String, Sendable, CaseIterable, Codable {
  case inceptionSE = "inception-se"
  case semgNet = "semg-net"
}
