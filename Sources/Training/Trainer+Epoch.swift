import Compute

/// One epoch: its steps, and validation.
extension Trainer {
  private typealias EpochResult = (
    loss: Double, accuracy: Double, samples: Int, ended: TrainedModel.Outcome
  )

  /// - Parameter epoch: from 0.
  /// - Returns: the epoch's record, nil where the caller wanted to stop; and how its steps ended.
  func trainEpoch(_ epoch: Int) throws -> (record: EpochRecord?, ended: TrainedModel.Outcome) {
    let start = clock.now
    let first = steps
    let skippedBefore = skippedNow
    let trained = try runSteps(epoch)
    if trained.ended == .interrupted { return (nil, .interrupted) }
    let seconds = start.duration(to: clock.now).seconds
    let validation = try validate()
    let skipped = skippedNow - skippedBefore
    try check(validation, epoch: epoch, first: first, skipped: skipped)
    let best = history.last { $0.isBest }?.validationAccuracy ?? -1
    let record = EpochRecord(
      model: name, epoch: epoch + 1, loss: trained.loss, accuracy: trained.accuracy,
      validationLoss: validation.loss, validationAccuracy: validation.accuracy,
      learningRate: lastLearningRate, seconds: start.duration(to: clock.now).seconds,
      samplesPerSecond: Double(trained.samples) / max(seconds, 1e-9),
      isBest: validation.accuracy > best, skippedSteps: skipped)
    return (record, trained.ended)
  }

  private func runSteps(_ epoch: Int) throws -> EpochResult {
    let first = steps
    let table = nextTable?.value ?? tables.table(epoch: epoch)
    nextTable = nil
    try network.begin(table)
    if epoch + 1 < settings.recipe.epochs {
      nextTable = Background { [tables] in tables.table(epoch: epoch + 1) }
    }
    var tally = StepTally(
      sampleCount: table.samples.count, capacity: settings.recipe.batchSize, start: clock.now,
      leavesOut: skipped != nil)
    var ended = TrainedModel.Outcome.completed
    for step in 0..<stepCount {
      if shouldStop() {
        ended = .interrupted
        break
      }
      if let deadline = settings.deadline, clock.now >= deadline, step > 0 {
        ended = .outOfTime
        break
      }
      let live = tally.live(step)
      try network.step(step, live: live)
      steps += 1
      if tally.isDue(clock.now, queued: step + 1 - tally.steps, secondsPerStep: secondsPerStep) {
        try collect(&tally, upTo: step + 1, epoch: epoch)
      }
    }
    if ended == .interrupted {
      return (0, 0, 0, ended)
    }
    try collect(&tally, upTo: steps - first, epoch: epoch)
    return (tally.meanLoss, tally.accuracy, tally.samples, ended)
  }

  /// Reads the results of finished steps, looks for a loss that is NaN or infinite, reports progress.
  ///
  /// - Parameter end: steps of the epoch that were run, all of which are read.
  private func collect(_ tally: inout StepTally, upTo end: Int, epoch: Int) throws {
    guard end > tally.steps else { return }
    let first = tally.steps
    let results = try network.results(of: first..<end)
    try check(results, first: first, epoch: epoch)
    for result in results { tally.add(result) }
    let now = clock.now
    secondsPerStep = tally.lastRead.duration(to: now).seconds / Double(end - first)
    tally.lastRead = now
    let speed = Double(tally.samples) / max(tally.start.duration(to: clock.now).seconds, 1e-9)
    let left =
      (settings.recipe.epochs - epoch) * tally.sampleCount - tally.samples
    let secondsLeft = min(
      Double(left) / max(speed, 1e-9),
      settings.deadline.map { max(0, clock.now.duration(to: $0).seconds) } ?? .infinity)
    report(
      .progress(
        StepProgress(
          model: name, epoch: epoch + 1, epochs: settings.recipe.epochs, step: end,
          steps: stepCount, loss: tally.meanLoss, accuracy: tally.accuracy, samplesPerSecond: speed,
          secondsLeft: secondsLeft)))
  }

  /// Whether training can go on after these steps, from `first` on in their epoch.
  ///
  /// - Throws: `TrainingError.diverged` at the first loss that is NaN or infinite; in half precision, where
  ///   such a step is left out, `overflowed` after many of them.
  private func check(_ results: [StepResult], first: Int, epoch: Int) throws {
    let losses = results.map { $0.loss + $0.penalty }
    let fault: (offset: Int, isOverflow: Bool)?
    if var skipped, let scaling = try network.loaded.lossScaling() {
      fault = skipped.add(losses: losses, scaling: scaling)
      self.skipped = skipped
    } else {
      fault = losses.firstIndex { !$0.isFinite }.map { ($0, false) }
    }
    guard let fault else { return }
    let step = first + fault.offset + 1
    if fault.isOverflow {
      throw TrainingError.overflowed(
        model: name, epoch: epoch + 1, step: step, skipped: SkippedSteps.most)
    }
    throw TrainingError.diverged(
      model: name, epoch: epoch + 1, step: step,
      learningRate: schedule[max(0, iterations - losses.count + fault.offset)],
      loss: losses[fault.offset])
  }

  /// Whether training can go on after a validation, where the last update of an epoch shows first.
  ///
  /// - Parameters:
  ///   - first: the epoch's first step.
  ///   - skipped: steps of the epoch that were left out.
  /// - Throws: `TrainingError.diverged` where the loss is NaN or infinite; in half precision, where that
  ///   may pass as the moving statistics settle, `validationOverflowed` after some epochs.
  private func check(
    _ validation: (loss: Double, accuracy: Double), epoch: Int, first: Int, skipped: Int
  ) throws {
    guard !validation.loss.isFinite else {
      epochsWithoutValidation = 0
      return
    }
    guard self.skipped != nil else {
      throw TrainingError.diverged(
        model: name, epoch: epoch + 1, step: steps - first,
        learningRate: lastLearningRate, loss: Float(validation.loss))
    }
    // Where nothing was updated, the steps have their own bound.
    if skipped < steps - first { epochsWithoutValidation += 1 }
    if epochsWithoutValidation >= Self.mostEpochsWithoutValidation {
      throw TrainingError.validationOverflowed(
        model: name, epochs: epochsWithoutValidation)
    }
  }

  private static let mostEpochsWithoutValidation = 3

  /// - Returns: in half precision, no numbers where the loss of a step is none.
  private func validate() throws -> (loss: Double, accuracy: Double) {
    var tally = StepTally(
      sampleCount: validationWindows.count, capacity: network.plan.options.inferenceCapacity,
      start: clock.now)
    for result in try network.validate(validationWindows) { tally.add(result) }
    return (tally.meanLoss, tally.meanLoss.isFinite ? tally.accuracy : .nan)
  }
}
