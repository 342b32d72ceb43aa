import CVectorLoops
import Compute

/// A plan with its arenas in memory and its launches bound to them.
public final class CPULoadedPlan: ProfiledPlan {
  /// Behind each activation, where all are kept.
  private static let guardBytes = 128
  public let plan: Plan
  private let device: CPUDevice
  private let options: LoadOptions
  private let pool: MemoryPool
  private let scratch: SharedScratch
  let oneDNN: OneDNN
  private let arenas: Arenas
  private var launches: [ProgramID: [CPULaunch]] = [:]
  private var tables: [ProgramID: ProgramTable] = [:]
  /// Nil where they were discarded.
  private var datasets: [StoredDataset?] = []
  public var profile: LaunchProfile?

  init(_ plan: Plan, options: LoadOptions, device: CPUDevice) throws(DeviceError) {
    self.plan = plan
    self.options = options
    self.device = device
    vl_set_threads(Int32(device.threads))
    pool = MemoryPool(device: device.name)
    scratch = try SharedScratch(device: device.name)
    oneDNN = try OneDNN(device: device.name, threads: device.threads, pool: pool)
    let schedules = Self.schedules(plan, options: options)
    let layout = try Self.layout(plan, schedules: schedules, options: options, device: device)
    let room = MemoryRoom.now()
    guard layout.byteCount < room.byteCount else {
      throw .outOfMemory(
        device: device.name, bytes: layout.byteCount, advice: "\(room); \(HostMemory.advice)")
    }
    arenas = try Arenas(layout: layout, pool: pool)
    let training = try ProgramTable(device: device.name)
    for id in options.programs {
      guard let program = plan.programs[id], let schedule = schedules[id] else { continue }
      let isOfTraining = id == .forwardBackward || id == .update
      tables[id] = isOfTraining ? training : try ProgramTable(device: device.name)
      try lower(program, schedule)
    }
  }

  static func schedules(_ plan: Plan, options: LoadOptions) -> [ProgramID: Schedule] {
    var schedules: [ProgramID: Schedule] = [:]
    for id in options.programs {
      guard let program = plan.programs[id] else { continue }
      schedules[id] = Schedule(program, plan: plan) { options.fuses && Lowering.fuses($0) }
    }
    return schedules
  }

  /// Arenas by launches: what a fused launch no longer writes takes no memory.
  static func layout(
    _ plan: Plan, schedules: [ProgramID: Schedule], options: LoadOptions, device: CPUDevice
  ) throws(DeviceError) -> ArenaLayout {
    do {
      return try ArenaLayout(
        plan: plan, programs: options.programs, reusesActivations: !options.keepsActivations,
        guardBytes: options.keepsActivations ? guardBytes : 0,
        touched: schedules.mapValues(\.touched))
    } catch {
      throw .misused(device: device.name, what: "plan \(plan.name): \(error)")
    }
  }

  deinit {
    oneDNN.releaseWeights()
  }

  private func lower(_ program: Program, _ schedule: Schedule) throws(DeviceError) {
    let lowering = Lowering(
      plan: plan, program: program, options: options, device: device, arenas: arenas,
      scratch: scratch, oneDNN: oneDNN)
    var list: [CPULaunch] = []
    for item in schedule.items { list.append(try lowering.launch(item)) }
    launches[program.id] = list
    for live in options.liveBatches[program.id] ?? [program.capacity] {
      for convolution in lowering.convolutions { try convolution.prepare(live: live) }
    }
  }

  public var byteCount: Int {
    pool.byteCount + scratch.byteCount
  }

  public func launches(of program: ProgramID) -> [Launch] {
    (launches[program] ?? []).map(\.launch)
  }

  // MARK: Tensors

  private func address(_ tensor: TensorID) throws(DeviceError) -> UnsafeMutableRawPointer {
    guard let address = arenas.address(tensor) else {
      throw .misused(
        device: device.name, what: "access to \(plan[tensor].name): no loaded program keeps it")
    }
    return address
  }

  public func write(_ values: [Float], to tensor: TensorID) throws(DeviceError) {
    let spec = plan[tensor]
    precondition(
      values.count <= spec.elementCount, "\(values.count) values for \(spec.name) are too many")
    let base = try address(tensor)
    switch spec.elementType {
    case .float32:
      base.assumingMemoryBound(to: Float.self).update(from: values, count: values.count)
    case .uint8:
      let bytes = base.assumingMemoryBound(to: UInt8.self)
      for (index, value) in values.enumerated() { bytes[index] = UInt8(value) }
    case .float16, .bfloat16:
      throw .unsupported(device: device.name, what: "\(spec.elementType.rawValue) tensors")
    }
    if spec.role == .parameter { oneDNN.weightsVersion &+= 1 }
  }

  public func write(_ values: [Double], to tensor: TensorID) throws(DeviceError) {
    try write(values.map { Float($0) }, to: tensor)
  }

  public func read(_ tensor: TensorID) throws(DeviceError) -> [Float] {
    let spec = plan[tensor]
    let base = try address(tensor)
    let count = spec.elementCount
    switch spec.elementType {
    case .float32:
      let floats = base.assumingMemoryBound(to: Float.self)
      return Array(UnsafeBufferPointer(start: floats, count: count))
    case .uint8:
      let bytes = base.assumingMemoryBound(to: UInt8.self)
      return (0..<count).map { Float(bytes[$0]) }
    case .float16, .bfloat16:
      throw .unsupported(device: device.name, what: "\(spec.elementType.rawValue) tensors")
    }
  }

  public func readDoubles(_ tensor: TensorID) throws(DeviceError) -> [Double] {
    try read(tensor).map { Double($0) }
  }

  // MARK: Data

  public func upload(_ dataset: Dataset) throws(DeviceError) -> DatasetID {
    datasets.append(try StoredDataset(dataset, device: device.name))
    return DatasetID(index: datasets.count - 1)
  }

  public func discard(_ dataset: DatasetID) {
    if datasets.indices.contains(dataset.index) { datasets[dataset.index] = nil }
  }

  public func upload(_ table: EpochTable, for program: ProgramID) throws(DeviceError) {
    guard let state = tables[program], let loaded = plan.programs[program] else {
      throw .misused(device: device.name, what: "a table for \(program.rawValue): not loaded")
    }
    let dataset =
      datasets.indices.contains(table.dataset.index) ? datasets[table.dataset.index] : nil
    if let dataset {
      if let fault = firstFault(of: table, for: loaded, in: dataset) {
        throw .misused(device: device.name, what: "this table: \(fault)")
      }
    } else if loaded.operations.contains(where: { $0.kind == .gatherWindows }) {
      throw .misused(
        device: device.name, what: "a table of dataset \(table.dataset.index): not uploaded")
    }
    let steps = max(
      table.stepCount(capacity: loaded.capacity), table.learningRates.count)
    try state.replace(with: table, dataset: dataset, steps: steps)
  }

  /// What the dataset cannot serve, in words.
  private func firstFault(
    of table: EpochTable, for program: Program, in dataset: StoredDataset
  ) -> String? {
    for case .gatherWindows(let op) in program.operations {
      if let fault = table.firstFault(shape: op.shape, dataset: dataset.outline) { return fault }
    }
    return nil
  }

  // MARK: Running

  public func run(_ program: ProgramID, step: Int, live: Int) throws(DeviceError) {
    let (list, context) = try prepare(program, step: step, live: live)
    let control = flushTiny()
    defer { vl_restore_tiny(control) }
    guard let profile else {
      for launch in list { try launch.execute(context) }
      return
    }
    for (index, launch) in list.enumerated() {
      try profile.measure(
        program, index, launch.launch.name,
        cost: plan.cost(of: launch.launch, of: program, live: live)
      ) { () throws(DeviceError) in try launch.execute(context) }
    }
  }

  public func run(
    launch: Int, of program: ProgramID, step: Int, live: Int
  ) throws(DeviceError) {
    let (list, context) = try prepare(program, step: step, live: live)
    precondition(list.indices.contains(launch), "\(program.rawValue) has \(list.count) launches")
    let control = flushTiny()
    defer { vl_restore_tiny(control) }
    try list[launch].execute(context)
  }

  /// A channel that is silent rings down through the filters into numbers that are not normal, and
  /// activations that nothing feeds shrink to such: no user's run is to slow down for them.
  ///
  /// - Returns: the calling thread's state before, to be restored once the run is through.
  private func flushTiny() -> UInt64 {
    let before = vl_flush_tiny()
    vl_flush_tiny_on_team(Int32(device.threads))
    return before
  }

  private func prepare(
    _ program: ProgramID, step: Int, live: Int
  ) throws(DeviceError) -> ([CPULaunch], StepContext) {
    guard let list = launches[program], let table = tables[program],
      let capacity = plan.programs[program]?.capacity
    else { throw .misused(device: device.name, what: "\(program.rawValue): not loaded") }
    precondition(
      live >= 1 && live <= capacity, "\(live) samples do not fit \(program.rawValue): \(capacity)")
    vl_set_threads(Int32(device.threads))
    return (list, StepContext(step: step, live: live, table: table))
  }

  public func results(
    of program: ProgramID, steps: Range<Int>
  ) throws(DeviceError) -> [StepResult] {
    guard let table = tables[program], steps.lowerBound >= 0,
      steps.upperBound <= table.results.count
    else {
      throw .misused(
        device: device.name, what: "results of steps \(steps) of \(program.rawValue)")
    }
    return Array(table.results[steps])
  }
}

extension CPULoadedPlan: GuardedPlan {
  private static let pattern: UInt8 = 0xA5

  /// Bytes behind each activation; none unless the plan was loaded with `keepsActivations`, and for
  /// one program alone: those of another may lie over this one's tensors.
  private var guardZones: [(tensor: TensorID, bytes: UnsafeMutableRawBufferPointer)] {
    guard options.keepsActivations, options.programs.count == 1 else { return [] }
    return plan.tensors(role: .activation).compactMap { id in
      arenas.address(id).map {
        (
          id,
          UnsafeMutableRawBufferPointer(
            start: $0 + plan[id].byteCount, count: Self.guardBytes)
        )
      }
    }
  }

  public func fillGuards() throws(DeviceError) {
    for zone in guardZones { for index in zone.bytes.indices { zone.bytes[index] = Self.pattern } }
  }

  public func damagedGuards() throws(DeviceError) -> [String] {
    guardZones.filter { !$0.bytes.allSatisfy { $0 == Self.pattern } }.map { plan[$0.tensor].name }
  }
}
