import Compute

/// Which of the two pipelines is trained: the published one with its quirks, or ours without them.
public enum Recipe: String, Sendable, CaseIterable, Codable {
  /// Filtered statistics, mixed labels, views drawn anew each epoch, restarts that end where
  /// training ends, causal convolutions.
  case standard
  /// As published, to be reproduced: statistics of the raw signal, labels of the first window,
  /// views drawn once, a second restart at nine tenths of the training, centred convolutions.
  case published

  /// Standardization is fitted to the filtered training signals, not to the raw ones.
  public var standardizesFiltered: Bool { self == .standard }
  /// Padding of the dilated convolutions.
  public var padding: Padding { self == .standard ? .causal : .same }
}
