import Compute
import Networks
import SignalPreparation

/// Memory that the models of a run take, and whether they train at the same time.
public struct TrainingMemory: Sendable {
  /// Whether the models train at the same time.
  public let trainsAtOnce: Bool
  /// Bytes on the device at most. An estimate: a device's caches are not in it.
  public let byteCount: Int
  /// Bytes that the program takes besides, wherever it trains: the steps of two epochs, the best
  /// weights, and an archive as it is written.
  public let hostByteCount: Int

  /// At the same time where there is more than one model, where the device gains by it, and where
  /// three quarters of its memory suffice: the rest is for what the estimate leaves out.
  public init(of data: PreparedRecordings, settings: RunSettings, on device: any Device) {
    let recordings =
      data.samples.count * MemoryLayout<Float>.size
      + 2 * data.labels.count * MemoryLayout<Int32>.size
    let options = Trainer.options(for: data, recipe: settings.recipe, classWeights: [])
    var parameters: [Int] = []
    let models = settings.models.map { model -> Int in
      guard
        let network = try? settings.network(
          model, windowLength: data.windowLength, channels: data.channels,
          classes: data.classes.count)
      else { return 0 }
      let layout = try? LoadedNetwork.layout(of: network, on: device, options: options)
      parameters.append(network.parameterCount)
      // Its arenas, with the best weights beside them.
      return recordings + (layout?.byteCount ?? 0) + 3 * 4 * network.parameterCount
    }
    let together = models.reduce(0, +)
    let fits = device.memoryForPlansAtOnce.map { together <= $0 / 4 * 3 } ?? false
    trainsAtOnce = models.count > 1 && (settings.trainsAtOnce ?? fits)
    byteCount = trainsAtOnce ? together : models.max() ?? 0
    // Weights and moments: of the best epoch, of the one that is saved, and twice in its archive.
    let weights = parameters.map { 4 * 3 * 4 * $0 }
    // Views, their shuffled copy, the next epoch's, and the device's.
    let samples = Augmentation.sampleCount(windows: data.windows(of: .train).count)
    let tables = 5 * samples * MemoryLayout<SampleEntry>.stride
    hostByteCount =
      (trainsAtOnce ? weights.reduce(0, +) : weights.max() ?? 0)
      + (trainsAtOnce ? settings.models.count : 1) * tables
  }

  /// The largest batch size with which a run takes no more than so many bytes, found by halving the
  /// run's; nil where none does.
  ///
  /// - Parameter bytes: of a run's memory, those that count.
  public static func batchSize(
    fitting limit: Int, of data: PreparedRecordings, settings: RunSettings, on device: any Device,
    counting bytes: (TrainingMemory) -> Int
  ) -> Int? {
    var smaller = settings
    while smaller.recipe.batchSize > 1 {
      smaller.recipe.batchSize /= 2
      if bytes(TrainingMemory(of: data, settings: smaller, on: device)) <= limit {
        return smaller.recipe.batchSize
      }
    }
    return nil
  }
}
