import Compute

/// Sums over the steps of a pass.
struct StepTally {
  let sampleCount: Int
  let capacity: Int
  let start: ContinuousClock.Instant
  /// Whether a loss that is NaN or infinite is that of a step which was left out.
  let leavesOut: Bool
  var lastRead: ContinuousClock.Instant
  var steps = 0
  var samples = 0
  /// Of steps whose loss is a number.
  private var counted = 0
  var hits = 0
  var loss = 0.0

  init(
    sampleCount: Int, capacity: Int, start: ContinuousClock.Instant, leavesOut: Bool = false
  ) {
    self.leavesOut = leavesOut
    self.sampleCount = sampleCount
    self.capacity = capacity
    self.start = start
    lastRead = start
  }

  func live(_ step: Int) -> Int { min(capacity, sampleCount - step * capacity) }

  /// Results are read ten times per second, so that no queue runs dry waiting for the host; where a
  /// device is slower than its queue takes steps, once it has a quarter of a second's work: what is
  /// queued can no longer be stopped when the time is up.
  ///
  /// - Parameters:
  ///   - queued: steps that were run since results were last read.
  ///   - secondsPerStep: of the device; nil where it is not known, and one step has to tell.
  func isDue(_ now: ContinuousClock.Instant, queued: Int, secondsPerStep: Double?) -> Bool {
    guard lastRead.duration(to: now) < .milliseconds(100), let secondsPerStep else { return true }
    return Double(queued) * secondsPerStep >= 0.25
  }

  mutating func add(_ result: StepResult) {
    let live = live(steps)
    steps += 1
    samples += live
    // A step that half precision had to leave out.
    guard (result.loss + result.penalty).isFinite || !leavesOut else { return }
    counted += live
    hits += result.hits
    loss += Double(result.loss + result.penalty) * Double(live)
  }

  /// No numbers where no step has any.
  var meanLoss: Double { loss / Double(counted) }
  var accuracy: Double { Double(hits) / Double(counted) }
}
