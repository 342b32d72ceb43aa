import Foundation

/// Cosine decay with warm restarts (Loshchilov and Hutter, 2017) as Keras's `CosineDecayRestarts`:
/// period i is `firstPeriod·periodFactorⁱ` steps long and starts at `initial·restartFactorⁱ`.
/// Periods are found in whole steps, so that restarts fall exactly where they belong.
public struct LearningRateSchedule: Sendable, Hashable {
  /// Learning rate of step 0.
  public var initial: Double
  /// Steps of the first period.
  public var firstPeriod: Int
  /// Growth of the periods (Keras `t_mul`).
  public var periodFactor: Int
  /// Shrinking of the restarts (Keras `m_mul`).
  public var restartFactor: Double
  /// Lowest learning rate as a fraction of `initial` (Keras `alpha`).
  public var floor: Double

  public init(
    initial: Double, firstPeriod: Int, periodFactor: Int, restartFactor: Double, floor: Double
  ) {
    precondition(firstPeriod >= 1 && periodFactor >= 1, "a period has at least one step")
    self.initial = initial
    self.firstPeriod = firstPeriod
    self.periodFactor = periodFactor
    self.restartFactor = restartFactor
    self.floor = floor
  }

  /// Learning rate of a step, counted from 0.
  public subscript(step: Int) -> Double {
    var start = 0
    var length = firstPeriod
    var height = 1.0
    while step >= start + length {
      start += length
      length *= periodFactor
      height *= restartFactor
    }
    let fraction = Double(step - start) / Double(length)
    let cosine = 0.5 * height * (1 + cos(.pi * fraction))
    return initial * ((1 - floor) * cosine + floor)
  }
}
