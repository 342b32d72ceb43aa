/// All recordings that a device needs to make batches: standardized samples, and the windows that
/// are cut from them when a batch is gathered.
public struct Dataset: Sendable {
  /// `[total time, channels]`, recordings one after another.
  public var samples: [Float]
  public var channels: Int
  /// First row of each window in `samples`.
  public var windowStarts: [Int32]
  /// Class index of each window.
  public var labels: [Int32]

  public init(samples: [Float], channels: Int, windowStarts: [Int32], labels: [Int32]) {
    precondition(windowStarts.count == labels.count, "a label for each window")
    self.samples = samples
    self.channels = channels
    self.windowStarts = windowStarts
    self.labels = labels
  }
}

/// A dataset on a device.
public struct DatasetID: Hashable, Sendable {
  public let index: Int

  public init(index: Int) { self.index = index }
}

/// How one sample of a batch is made from windows of the dataset.
public struct SampleEntry: Sendable, Hashable {
  public enum View: UInt8, Sendable {
    /// The window as it is.
    case original = 0
    /// `maskedChannel`, if any, zeroed; then noise added to all channels.
    case masked = 1
    /// λ·x + (1 − λ)·x′ with x′ the `partner` window.
    case mixed = 2
  }

  public var window: Int32
  /// The other window of a mixed view, else equal to `window`.
  public var partner: Int32
  /// Weight of `window` in a mixed view, else 1.
  public var lambda: Float
  /// Channel zeroed in a masked view, or −1.
  public var maskedChannel: Int16
  public var view: View

  public init(
    window: Int32, partner: Int32? = nil, lambda: Float = 1, maskedChannel: Int16 = -1,
    view: View = .original
  ) {
    self.window = window
    self.partner = partner ?? window
    self.lambda = lambda
    self.maskedChannel = maskedChannel
    self.view = view
  }
}

/// All that the steps of one epoch vary: uploaded once, so that no step waits for the host.
public struct EpochTable: Sendable {
  public var dataset: DatasetID
  /// One entry a sample in order; step s takes entries `s·capacity ..< s·capacity + live`.
  public var samples: [SampleEntry]
  /// One learning rate a step; empty where the program does not train.
  public var learningRates: [Float]
  /// Steps trained before this epoch: step s has Adam's t = `firstIteration + s + 1` and draws its
  /// dropout and noise with Philox step `firstIteration + s`.
  public var firstIteration: Int
  /// Epoch that the augmentation's noise is counted by.
  public var augmentationEpoch: Int

  public init(
    dataset: DatasetID, samples: [SampleEntry], learningRates: [Float] = [],
    firstIteration: Int = 0, augmentationEpoch: Int = 0
  ) {
    self.dataset = dataset
    self.samples = samples
    self.learningRates = learningRates
    self.firstIteration = firstIteration
    self.augmentationEpoch = augmentationEpoch
  }

  public func stepCount(capacity: Int) -> Int { (samples.count + capacity - 1) / capacity }
}

/// What a step reports; read back every so many steps.
public struct StepResult: Sendable, Hashable, BitwiseCopyable {
  /// Mean over the live samples of weight · cross-entropy.
  public var loss: Float
  /// L2 penalty of the decayed kernels before this step's update.
  public var penalty: Float
  /// Samples whose highest probability is at the target's highest class.
  public var hits: Int

  public init(loss: Float, penalty: Float, hits: Int) {
    self.loss = loss
    self.penalty = penalty
    self.hits = hits
  }
}

/// What of a dataset a table is judged by; the samples themselves are elsewhere.
public struct DatasetOutline: Sendable {
  public let channels: Int
  /// Rows of `channels` values.
  public let rows: Int
  public let windowStarts: [Int32]
  public let labels: [Int32]

  public init(_ dataset: Dataset) {
    channels = dataset.channels
    rows = dataset.samples.count / max(1, dataset.channels)
    windowStarts = dataset.windowStarts
    labels = dataset.labels
  }
}

extension EpochTable {
  /// The first entry that a dataset cannot serve, in words: gathering itself checks nothing.
  public func firstFault(shape: GatherShape, dataset: DatasetOutline) -> String? {
    guard dataset.channels == shape.channels else {
      return "its dataset has \(dataset.channels) channels, the plan takes \(shape.channels)"
    }
    for (index, entry) in samples.enumerated() {
      for window in [Int(entry.window), Int(entry.partner)] {
        guard dataset.windowStarts.indices.contains(window) else {
          return "sample \(index) names window \(window) of \(dataset.windowStarts.count)"
        }
        let start = Int(dataset.windowStarts[window])
        guard start >= 0, start + shape.time <= dataset.rows else {
          return "window \(window) starts at row \(start) of \(dataset.rows)"
        }
        guard (0..<shape.classes).contains(Int(dataset.labels[window])) else {
          return "window \(window) has class \(dataset.labels[window]) of \(shape.classes)"
        }
      }
      guard Int(entry.maskedChannel) < shape.channels else {
        return "sample \(index) masks channel \(entry.maskedChannel) of \(shape.channels)"
      }
    }
    return nil
  }
}
