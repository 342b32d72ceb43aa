/// A place that can run plans: `ReferenceDevice`, `CPUDevice`, `OpenCLDevice`.
public protocol Device: Sendable {
  /// For people: "CPU (oneDNN 2.6.3, 2 threads)".
  var name: String { get }
  /// In what numbers activations are stored: results are rounded with them.
  var precision: Precision { get }
  /// Bytes for plans that run at the same time, each from a thread of its own; nil where one plan
  /// alone keeps the device busy.
  var memoryForPlansAtOnce: Int? { get }

  /// Allocates the arenas, builds the kernels, binds the arguments. Whatever can fail, fails here.
  func load(_ plan: Plan, options: LoadOptions) throws(DeviceError) -> any LoadedPlan

  /// Where a plan's tensors would lie: how much memory `load` would take, known before it does.
  func layout(of plan: Plan, options: LoadOptions) throws(DeviceError) -> ArenaLayout
}

extension Device {
  public var memoryForPlansAtOnce: Int? { nil }

  /// One launch an operation.
  public func layout(
    of plan: Plan, options: LoadOptions
  ) throws(DeviceError) -> ArenaLayout {
    do {
      return try ArenaLayout(
        plan: plan, programs: options.programs, reusesActivations: !options.keepsActivations)
    } catch {
      throw .misused(device: name, what: "plan \(plan.name): \(error)")
    }
  }
}

/// What a device is told besides the plan.
public struct LoadOptions: Sendable {
  /// Programs that will be run: prediction alone allocates no gradients or moments.
  public var programs: [ProgramID]
  /// Live batch sizes that will occur, a program: its capacity and the remainders of each part.
  /// Others may be run too, where a device can, but need not be fast.
  public var liveBatches: [ProgramID: [Int]]
  /// Fused launches, or one launch an operation.
  public var fuses: Bool
  /// Every activation has memory of its own, so that operations can be compared one by one.
  public var keepsActivations: Bool
  /// Key of all random draws.
  public var seed: UInt64

  public init(
    programs: [ProgramID] = ProgramID.allCases, liveBatches: [ProgramID: [Int]] = [:],
    fuses: Bool = true, keepsActivations: Bool = false, seed: UInt64 = 42
  ) {
    self.programs = programs
    self.liveBatches = liveBatches
    self.fuses = fuses
    self.keepsActivations = keepsActivations
    self.seed = seed
  }
}

/// Operations of a program that a device runs as one.
public struct Launch: Sendable, Hashable {
  /// For profiles: the operation's name, or that of the fused pattern.
  public var name: String
  /// Indices of the operations it covers, ascending. Launches run in the order of their list.
  public var operations: [Int]
  /// Tensors that the covered operations write but this launch does not.
  public var elided: Set<TensorID>

  public init(name: String, operations: [Int], elided: Set<TensorID> = []) {
    self.name = name
    self.operations = operations
    self.elided = elided
  }
}

/// A plan with its memory on one device. Not `Sendable`: one owner, one queue.
public protocol LoadedPlan: AnyObject {
  var plan: Plan { get }
  /// Bytes of all arenas and private caches.
  var byteCount: Int { get }

  /// The device's lowering of a program: every operation is covered by exactly one launch.
  func launches(of program: ProgramID) -> [Launch]

  /// Writes the first `values.count` elements of a tensor, converted to its element type.
  func write(_ values: [Float], to tensor: TensorID) throws(DeviceError)
  /// As `write(_:to:)` in double precision, for devices that keep it.
  func write(_ values: [Double], to tensor: TensorID) throws(DeviceError)
  /// Reads a whole tensor; waits for what is queued.
  func read(_ tensor: TensorID) throws(DeviceError) -> [Float]
  /// As `read(_:)` in double precision, for devices that keep it.
  func readDoubles(_ tensor: TensorID) throws(DeviceError) -> [Double]

  func upload(_ dataset: Dataset) throws(DeviceError) -> DatasetID
  /// Gives the memory of a dataset back, as soon as no table is of it; no other may be made of it.
  func discard(_ dataset: DatasetID)
  /// The table of the steps that come next. `forwardBackward` and `update` share one table.
  func upload(_ table: EpochTable, for program: ProgramID) throws(DeviceError)

  /// Enqueues one run over the first `live` slots; allocates nothing and waits for nothing.
  func run(_ program: ProgramID, step: Int, live: Int) throws(DeviceError)
  /// Enqueues one launch alone, by its index in `launches(of:)`.
  func run(launch: Int, of program: ProgramID, step: Int, live: Int) throws(DeviceError)

  /// Results of finished steps of the current table; waits for what is queued.
  func results(of program: ProgramID, steps: Range<Int>) throws(DeviceError) -> [StepResult]

  /// How the device stores a tensor; where that is narrower than the plan says, values are rounded
  /// as they are written.
  func storage(of tensor: TensorID) -> ElementType
  /// Where a device trains in half precision, by what it multiplies the loss, and what came of it;
  /// waits for what is queued. Gradients that are read are those of the scaled loss.
  func lossScaling() throws(DeviceError) -> LossScaling?
  /// Takes up the loss scaling of an earlier training, where a device trains in half precision.
  func write(_ scaling: LossScaling) throws(DeviceError)
}

extension LoadedPlan {
  public func storage(of tensor: TensorID) -> ElementType { plan[tensor].elementType }
  public func lossScaling() throws(DeviceError) -> LossScaling? { nil }
  public func write(_ scaling: LossScaling) throws(DeviceError) {
    throw .misused(device: "a device of single precision", what: "a loss that is scaled")
  }
}

/// What can go wrong on a device, in the words of whoever has to mend it.
public enum DeviceError: Error, Equatable, CustomStringConvertible {
  case unavailable(device: String, reason: String)
  case outOfMemory(device: String, bytes: Int, advice: String)
  case callFailed(device: String, call: String, code: String)
  /// The device has not what this needs.
  case unsupported(device: String, what: String)
  /// Whoever called it has asked for what makes no sense: a defect of ours, on whatever device.
  case misused(device: String, what: String)
  /// What it was given comes back wrong, or what it computes of it is.
  case computesWrongly(device: String, what: String)

  public var description: String {
    switch self {
    case .unavailable(let device, let reason):
      "\(device) is not available: \(reason)"
    case .outOfMemory(let device, let bytes, let advice):
      "\(device) has no room for \(bytes / 1_048_576) MiB: \(advice)"
    case .callFailed(let device, let call, let code):
      "\(device): \(call) failed with \(code)"
    case .unsupported(let device, let what):
      "\(device) cannot run \(what)"
    case .misused(let device, let what):
      "\(device) was asked for \(what)"
    case .computesWrongly(let device, let what):
      "\(device) computes wrongly: \(what)"
    }
  }
}
