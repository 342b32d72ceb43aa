import CVectorLoops
import Compute

/// Values at a fixed address, freed with their owner.
final class FixedArray<Element: BitwiseCopyable> {
  let values: UnsafeMutableBufferPointer<Element>

  /// - Throws: `DeviceError.outOfMemory`.
  init(repeating value: Element, count: Int, device: String) throws(DeviceError) {
    values = try Self.room(for: count, device: device)
    values.initialize(repeating: value)
  }

  /// - Throws: `DeviceError.outOfMemory`.
  init<Source>(
    _ source: [Source], device: String, _ transform: (Source) -> Element
  ) throws(DeviceError) {
    values = try Self.room(for: source.count, device: device)
    for (index, value) in source.enumerated() {
      values.initializeElement(at: index, to: transform(value))
    }
  }

  /// - Throws: `DeviceError.outOfMemory`.
  init(copying source: [Element], device: String) throws(DeviceError) {
    values = try Self.room(for: source.count, device: device)
    _ = values.initialize(from: source)
  }

  deinit { if let base = values.baseAddress { HostMemory.free(base) } }

  private static func room(
    for count: Int, device: String
  ) throws(DeviceError) -> UnsafeMutableBufferPointer<Element> {
    let block = try HostMemory.allocate(
      max(64, count * MemoryLayout<Element>.stride), device: device)
    return UnsafeMutableBufferPointer(
      start: block.bindMemory(to: Element.self, capacity: count), count: count)
  }
}

/// What the steps of an epoch vary, and where they leave their results. The training programs share
/// one, each inference program has its own.
final class ProgramTable {
  private(set) var dataset: StoredDataset?
  private var samples: FixedArray<vl_sample>
  private(set) var learningRates: [Float] = []
  private(set) var firstIteration = 0
  private(set) var augmentationEpoch = 0
  private var stepResults: FixedArray<StepResult>
  private let device: String

  var entries: UnsafeMutableBufferPointer<vl_sample> { samples.values }
  var results: UnsafeMutableBufferPointer<StepResult> { stepResults.values }

  private static let nothing = StepResult(loss: 0, penalty: 0, hits: 0)

  /// - Throws: `DeviceError.outOfMemory`.
  init(device: String) throws(DeviceError) {
    self.device = device
    samples = try FixedArray(repeating: vl_sample(), count: 0, device: device)
    stepResults = try FixedArray(repeating: Self.nothing, count: 1, device: device)
  }

  /// - Throws: `DeviceError.outOfMemory`; the table before stays.
  func replace(
    with table: EpochTable, dataset: StoredDataset?, steps: Int
  ) throws(DeviceError) {
    let samples = try FixedArray(table.samples, device: device) {
      vl_sample(
        window: $0.window, partner: $0.partner, lambda: $0.lambda,
        masked_channel: $0.maskedChannel, view: $0.view.rawValue)
    }
    stepResults = try FixedArray(repeating: Self.nothing, count: max(1, steps), device: device)
    self.samples = samples
    self.dataset = dataset
    learningRates = table.learningRates
    firstIteration = table.firstIteration
    augmentationEpoch = table.augmentationEpoch
  }

  /// Room for a step's result, where no table has foreseen it.
  func reserveResult(step: Int) throws(DeviceError) {
    guard step >= results.count else { return }
    let grown = try FixedArray(repeating: Self.nothing, count: step + 1, device: device)
    for index in results.indices { grown.values[index] = results[index] }
    stepResults = grown
  }
}

/// A dataset's arrays at fixed addresses.
final class StoredDataset {
  private let storedSamples: FixedArray<Float>
  private let storedStarts: FixedArray<Int32>
  private let storedLabels: FixedArray<Int32>
  let channels: Int
  let outline: DatasetOutline

  var samples: UnsafeMutableBufferPointer<Float> { storedSamples.values }
  var windowStarts: UnsafeMutableBufferPointer<Int32> { storedStarts.values }
  var labels: UnsafeMutableBufferPointer<Int32> { storedLabels.values }

  /// - Throws: `DeviceError.outOfMemory`.
  init(_ dataset: Dataset, device: String) throws(DeviceError) {
    outline = DatasetOutline(dataset)
    storedSamples = try FixedArray(copying: dataset.samples, device: device)
    storedStarts = try FixedArray(copying: dataset.windowStarts, device: device)
    storedLabels = try FixedArray(copying: dataset.labels, device: device)
    channels = dataset.channels
  }
}
