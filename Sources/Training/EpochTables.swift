import Compute

/// What the steps of each epoch vary. Depends on nothing that training finds out, so that an epoch's
/// table can be made while the one before is trained.
struct EpochTables: Sendable {
  let dataset: DatasetID
  let augmentation: Augmentation
  let schedule: LearningRateSchedule
  let batchSize: Int

  /// Of an epoch.
  var stepCount: Int { (augmentation.sampleCount + batchSize - 1) / batchSize }

  /// One a step.
  func rates(of steps: Range<Int>) -> [Float] { steps.map { Float(schedule[$0]) } }

  /// Of an epoch, counted from 0, before which no step of any other was left unrun. A device that
  /// leaves updates out takes the rates of earlier steps by itself.
  func table(epoch: Int) -> EpochTable {
    let first = epoch * stepCount
    return EpochTable(
      dataset: dataset, samples: augmentation.samples(epoch: epoch),
      learningRates: rates(of: first..<first + stepCount), firstIteration: first,
      augmentationEpoch: augmentation.viewEpoch(epoch))
  }
}
