import Compute

/// A plan with its tensors in double precision. `results(of:steps:)` rounds to `StepResult`;
/// `preciseResults(of:steps:)` does not.
public final class ReferencePlan: LoadedPlan {
  /// A step's result before rounding.
  public struct PreciseResult: Sendable, Hashable {
    public var loss: Double
    public var penalty: Double
    public var hits: Int
  }

  public let plan: Plan
  let key: SIMD2<UInt32>
  /// By tensor index; nil where no loaded program uses the tensor.
  private let storage: [TensorStorage?]
  /// Nil where they were discarded.
  private var datasets: [Dataset?] = []
  private var tables: [ProgramID: EpochTable] = [:]
  var results: [ProgramID: [Int: PreciseResult]] = [:]
  private let loaded: Set<ProgramID>

  init(plan: Plan, options: LoadOptions) {
    self.plan = plan
    key = Philox.key(seed: options.seed)
    loaded = Set(options.programs).intersection(plan.programs.keys)
    var used = Set(plan.tensors(role: .parameter) + plan.tensors(role: .statistic))
    for program in loaded.compactMap({ plan.programs[$0] }) {
      used.formUnion(program.inputs)
      used.formUnion(program.outputs)
      for operation in program.operations {
        used.formUnion(operation.reads)
        used.formUnion(operation.writes)
      }
    }
    storage = plan.tensors.enumerated().map { index, spec in
      used.contains(TensorID(index: index)) ? TensorStorage(count: spec.elementCount) : nil
    }
  }

  public var byteCount: Int {
    storage.reduce(0) { $0 + ($1?.values.count ?? 0) * MemoryLayout<Double>.stride }
  }

  public func launches(of program: ProgramID) -> [Launch] {
    (plan.programs[program]?.operations ?? []).enumerated().map {
      Launch(name: $1.name, operations: [$0])
    }
  }

  /// Memory of a tensor that an operation of a loaded program uses.
  subscript(id: TensorID) -> TensorStorage {
    guard let tensor = storage[id.index] else {
      preconditionFailure("tensor \(plan[id].name) is used by no loaded program")
    }
    return tensor
  }

  // MARK: Tensors

  public func write(_ values: [Float], to tensor: TensorID) throws(DeviceError) {
    try write(values.map(Double.init), to: tensor)
  }

  public func write(_ values: [Double], to tensor: TensorID) throws(DeviceError) {
    let target = try accessible(tensor)
    precondition(
      values.count <= target.values.count,
      "\(values.count) values do not fit into tensor \(plan[tensor].name) \(plan[tensor].shape)")
    target.values.replaceSubrange(0..<values.count, with: values)
  }

  public func read(_ tensor: TensorID) throws(DeviceError) -> [Float] {
    try readDoubles(tensor).map(Float.init)
  }

  public func readDoubles(_ tensor: TensorID) throws(DeviceError) -> [Double] {
    try accessible(tensor).values
  }

  private func accessible(_ id: TensorID) throws(DeviceError) -> TensorStorage {
    guard let tensor = storage[id.index] else {
      throw .misused(
        device: "reference", what: "tensor \(plan[id].name), which no loaded program uses")
    }
    return tensor
  }

  // MARK: Data and tables

  public func upload(_ dataset: Dataset) throws(DeviceError) -> DatasetID {
    datasets.append(dataset)
    return DatasetID(index: datasets.count - 1)
  }

  public func discard(_ dataset: DatasetID) { datasets[dataset.index] = nil }

  public func upload(_ table: EpochTable, for program: ProgramID) throws(DeviceError) {
    let dataset = dataset(table.dataset)
    for case .gatherWindows(let op) in plan.programs[program]?.operations ?? [] {
      if let fault = table.firstFault(shape: op.shape, dataset: DatasetOutline(dataset)) {
        throw .misused(device: "reference", what: "this table: \(fault)")
      }
    }
    for member in program.tableSharers {
      tables[member] = table
      results[member] = [:]
    }
  }

  func dataset(_ id: DatasetID) -> Dataset {
    guard datasets.indices.contains(id.index), let dataset = datasets[id.index] else {
      preconditionFailure("dataset \(id.index) is not there: upload it first")
    }
    return dataset
  }

  // MARK: Running

  public func run(_ program: ProgramID, step: Int, live: Int) throws(DeviceError) {
    let (operations, context) = try prepare(program, step: step, live: live)
    for operation in operations { try execute(operation, context) }
  }

  public func run(
    launch: Int, of program: ProgramID, step: Int, live: Int
  ) throws(DeviceError) {
    let (operations, context) = try prepare(program, step: step, live: live)
    try execute(operations[launch], context)
  }

  private func prepare(
    _ id: ProgramID, step: Int, live: Int
  ) throws(DeviceError) -> ([Operation], RunContext) {
    guard let program = plan.programs[id], loaded.contains(id) else {
      throw .misused(device: "reference", what: "program \(id.rawValue), which is not loaded")
    }
    precondition(
      (1...program.capacity).contains(live),
      "\(live) samples do not fit program \(id.rawValue) of capacity \(program.capacity)")
    return (
      program.operations,
      RunContext(
        program: id, step: step, capacity: program.capacity, live: live, key: key,
        table: tables[id])
    )
  }

  // MARK: Results

  public func results(
    of program: ProgramID, steps: Range<Int>
  ) throws(DeviceError) -> [StepResult] {
    try preciseResults(of: program, steps: steps).map {
      StepResult(loss: Float($0.loss), penalty: Float($0.penalty), hits: $0.hits)
    }
  }

  /// Results of finished steps in double precision.
  public func preciseResults(
    of program: ProgramID, steps: Range<Int>
  ) throws(DeviceError) -> [PreciseResult] {
    var rows: [PreciseResult] = []
    for step in steps {
      guard let row = results[program]?[step] else {
        throw .misused(device: "reference", what: "the result of step \(step): it has not run")
      }
      rows.append(row)
    }
    return rows
  }
}

extension ProgramID {
  /// Programs whose steps one table describes.
  fileprivate var tableSharers: [ProgramID] {
    switch self {
    case .forwardBackward, .update: [.forwardBackward, .update]
    case .validate, .predict: [self]
    }
  }
}
