import CVectorLoops
import Compute

/// What the steps of an epoch vary, and where they leave their results. The training programs share
/// one, each inference program has its own.
final class ProgramTable {
  private(set) var dataset: StoredDataset?
  private(set) var entries: UnsafeMutableBufferPointer<vl_sample>
  private(set) var learningRates: [Float] = []
  private(set) var firstIteration = 0
  private(set) var augmentationEpoch = 0
  private(set) var results: UnsafeMutableBufferPointer<StepResult>

  init() {
    entries = .allocate(capacity: 0)
    results = .allocate(capacity: 1)
    results.initialize(repeating: StepResult(loss: 0, penalty: 0, hits: 0))
  }

  deinit {
    entries.deallocate()
    results.deallocate()
  }

  func replace(with table: EpochTable, dataset: StoredDataset?, steps: Int) {
    self.dataset = dataset
    entries.deallocate()
    entries = .allocate(capacity: table.samples.count)
    _ = entries.initialize(
      from: table.samples.map {
        vl_sample(
          window: $0.window, partner: $0.partner, lambda: $0.lambda,
          masked_channel: $0.maskedChannel, view: $0.view.rawValue)
      })
    learningRates = table.learningRates
    firstIteration = table.firstIteration
    augmentationEpoch = table.augmentationEpoch
    results.deallocate()
    results = .allocate(capacity: max(1, steps))
    results.initialize(repeating: StepResult(loss: 0, penalty: 0, hits: 0))
  }

  /// Room for a step's result, where no table has foreseen it.
  func reserveResult(step: Int) {
    guard step >= results.count else { return }
    let grown = UnsafeMutableBufferPointer<StepResult>.allocate(capacity: step + 1)
    grown.initialize(repeating: StepResult(loss: 0, penalty: 0, hits: 0))
    for index in results.indices { grown[index] = results[index] }
    results.deallocate()
    results = grown
  }
}

/// A dataset's arrays at fixed addresses.
final class StoredDataset {
  let samples: UnsafeMutableBufferPointer<Float>
  let windowStarts: UnsafeMutableBufferPointer<Int32>
  let labels: UnsafeMutableBufferPointer<Int32>
  let channels: Int
  let outline: DatasetOutline

  init(_ dataset: Dataset) {
    outline = DatasetOutline(dataset)
    samples = Self.copy(dataset.samples)
    windowStarts = Self.copy(dataset.windowStarts)
    labels = Self.copy(dataset.labels)
    channels = dataset.channels
  }

  deinit {
    samples.deallocate()
    windowStarts.deallocate()
    labels.deallocate()
  }

  private static func copy<Element>(_ values: [Element]) -> UnsafeMutableBufferPointer<Element> {
    let result = UnsafeMutableBufferPointer<Element>.allocate(capacity: values.count)
    _ = result.initialize(from: values)
    return result
  }
}
