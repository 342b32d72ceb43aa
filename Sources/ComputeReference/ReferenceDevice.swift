import Compute

/// What correct means: every operation of a plan as the plain loops of its definition, all values
/// stored in double precision whatever their element type says. Never optimised, and never used to
/// train: it is what the other devices are compared with, and stands itself on finite differences
/// and on Keras in float64.
///
/// Constants of a shape (an epsilon, a rate, a momentum) are taken as the decimal number that was
/// written, see `Float.decimalValue`.
public struct ReferenceDevice: Device {
  public let name = "reference (double precision)"
  public var precision: Precision { .fp32 }

  public init() {}

  /// One launch an operation, whatever `options.fuses` says, and every tensor in memory of its own.
  public func load(_ plan: Plan, options: LoadOptions) throws(DeviceError) -> any LoadedPlan {
    ReferencePlan(plan: plan, options: options)
  }
}

/// One tensor's memory: a reference type, so that an operation may write two tensors at once.
final class TensorStorage {
  var values: [Double]

  init(count: Int) { values = Array(repeating: 0, count: count) }
}

/// What a run gives its operations besides tensors.
struct RunContext {
  let program: ProgramID
  let step: Int
  let capacity: Int
  let live: Int
  let key: SIMD2<UInt32>
  let table: EpochTable?

  /// Steps trained before this one: what dropout and noise are counted by, and Adam's t − 1.
  var iteration: Int { (table?.firstIteration ?? 0) + step }
}
