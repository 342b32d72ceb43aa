import Compute
import Networks

/// Memory that the models of a run take on a device, and whether they train there at the same time.
public struct TrainingMemory: Sendable {
  /// Whether the models train at the same time.
  public let trainsAtOnce: Bool
  /// Bytes on the device at most. An estimate: a device's caches are not in it.
  public let byteCount: Int

  /// At the same time where there is more than one model, where the device gains by it, and where
  /// three quarters of its memory suffice: the rest is for what the estimate leaves out.
  public init(of data: PreparedRecordings, settings: RunSettings, on device: any Device) {
    let recordings = data.samples.count * MemoryLayout<Float>.size
    let capacities = Trainer.capacities(for: data, batchSize: settings.batchSize)
    let models = settings.models.map { kind -> Int in
      guard
        let network = try? settings.network(
          kind, windowLength: data.windowLength, channels: data.channels,
          classes: data.classes.count)
      else { return 0 }
      let plan = NetworkPlan(
        network,
        options: NetworkPlanOptions(
          batchCapacity: capacities.training, inferenceCapacity: capacities.inference)
      ).plan
      let layout = try? device.layout(
        of: plan, options: LoadOptions(programs: [.forwardBackward, .update, .validate]))
      // Its arenas, with the best weights beside them.
      return recordings + (layout?.byteCount ?? 0) + 3 * 4 * network.parameterCount
    }
    let together = models.reduce(0, +)
    let fits = device.memoryForPlansAtOnce.map { together <= $0 / 4 * 3 } ?? false
    trainsAtOnce = models.count > 1 && (settings.trainsAtOnce ?? fits)
    byteCount = trainsAtOnce ? together : models.max() ?? 0
  }
}
