import COpenCL
import Compute

/// What the steps of an epoch vary and where they leave their results, on the device. The training
/// programs share one, each inference program has its own. The structures are those of
/// `Kernels/table.cl`.
final class ProgramTable {
  let header = BufferSlot()
  let entries = BufferSlot()
  /// One a step: `learning rate·√(1 − β₂ᵗ)/(1 − β₁ᵗ)` is computed on the host in double precision.
  /// Before them those of earlier tables: steps that were left out count for nothing, and only the
  /// device knows how many they were.
  let rates = BufferSlot()
  let results = BufferSlot()
  let samples = BufferSlot()
  let windowStarts = BufferSlot()
  let labels = BufferSlot()
  /// Steps for which there is room in `results`.
  private(set) var stepCount = 0
  private(set) var entryCount = 0
  private(set) var rateCount = 0
  private(set) var firstIteration = 0
  /// What `rates` holds, and the iteration of the first.
  private var knownRates: (first: Int, values: [Float]) = (0, [])
  /// More steps than are left out in any training that gets anywhere: each halves the loss scale,
  /// which is doubled after thousands.
  private static let mostEarlierRates = 4_096

  struct Header {
    var firstIteration: UInt64
    var augmentationEpoch: Int32
    /// In `rates`, before that of the table's first step.
    var earlierRates: Int32
  }

  struct Entry {
    var window: Int32
    var partner: Int32
    var lambda: Float
    var maskedChannel: Int16
    var view: UInt16
  }

  struct Result {
    var loss: Float
    var penalty: Float
    var hits: Int32
    var unused: Int32 = 0
  }

  /// - Parameter adam: of the plan's update, for the rates.
  func replace(
    with table: EpochTable?, dataset: StoredDataset?, steps: Int, adam: AdamSettings?,
    memory: DeviceMemory
  ) throws(DeviceError) {
    let entryValues = (table?.samples ?? []).map {
      Entry(
        window: $0.window, partner: $0.partner, lambda: $0.lambda,
        maskedChannel: $0.maskedChannel, view: UInt16($0.view.rawValue))
    }
    firstIteration = table?.firstIteration ?? 0
    var rateValues: [Float] = []
    if let adam, let table {
      for (step, rate) in table.learningRates.enumerated() {
        rateValues.append(
          Float(
            adam.stepSize(
              learningRate: Double(rate), iteration: table.firstIteration + step + 1)))
      }
    }
    let earlier = earlierRates()
    knownRates = (firstIteration - earlier.count, earlier + rateValues)
    let head = Header(
      firstIteration: UInt64(firstIteration),
      augmentationEpoch: Int32(table?.augmentationEpoch ?? 0),
      earlierRates: Int32(earlier.count))
    try memory.replace(header, with: [head])
    try memory.replace(entries, with: entryValues)
    try memory.replace(rates, with: knownRates.values)
    try memory.replace(results, with: Self.noResults(steps))
    samples.buffer = dataset?.samples.buffer ?? header.buffer
    windowStarts.buffer = dataset?.windowStarts.buffer ?? header.buffer
    labels.buffer = dataset?.labels.buffer ?? header.buffer
    stepCount = max(1, steps)
    entryCount = entryValues.count
    rateCount = rateValues.count
  }

  /// Those of the iterations right before the first, as far as they are known.
  private func earlierRates() -> ArraySlice<Float> {
    let count = firstIteration - knownRates.first
    guard (0...knownRates.values.count).contains(count) else { return [] }
    return knownRates.values.prefix(count).suffix(Self.mostEarlierRates)
  }

  /// Room for a step's result where no table has foreseen it.
  func reserveResult(step: Int, memory: DeviceMemory) throws(DeviceError) {
    guard step >= stepCount else { return }
    var grown = Self.noResults(step + 1)
    try memory.read(results, into: &grown, first: 0, count: stepCount)
    try memory.replace(results, with: grown)
    stepCount = step + 1
  }

  private static func noResults(_ count: Int) -> [Result] {
    Array(repeating: Result(loss: 0, penalty: 0, hits: 0), count: max(1, count))
  }
}

/// A dataset on the device, with what of it the host needs to judge tables.
final class StoredDataset {
  let samples = BufferSlot()
  let windowStarts = BufferSlot()
  let labels = BufferSlot()
  let dataset: DatasetOutline

  init(_ dataset: Dataset, memory: DeviceMemory) throws(DeviceError) {
    self.dataset = DatasetOutline(dataset)
    try memory.replace(samples, with: dataset.samples)
    try memory.replace(windowStarts, with: dataset.windowStarts)
    try memory.replace(labels, with: dataset.labels)
  }

  /// Samples that are compared at each of its places.
  private static let compared = 1_024

  /// Where its beginning, middle or end reads back as something else than was uploaded; nil where it
  /// does not.
  func gap(from dataset: Dataset, memory: DeviceMemory) throws(DeviceError) -> String? {
    let count = min(Self.compared, dataset.samples.count)
    let last = dataset.samples.count - count
    for first in Set([0, last / 2, last]).sorted() {
      var found = Array(repeating: Float.nan, count: count)
      try memory.read(samples, into: &found, first: first, count: count)
      let gap = found.indices.first {
        found[$0].bitPattern != dataset.samples[first + $0].bitPattern
      }
      guard let gap else { continue }
      return "sample \(first + gap) of \(dataset.samples.count) reads back as \(found[gap]), "
        + "expected \(dataset.samples[first + gap])"
    }
    return nil
  }
}
