import COpenCL
import Compute

/// A plan with its arenas in device memory and its launches bound to them, behind one queue.
public final class OpenCLLoadedPlan: ProfiledPlan {
  /// Behind each activation, where all are kept.
  private static let guardBytes = 128
  public let plan: Plan
  let device: OpenCLDevice
  private let options: LoadOptions
  let memory: DeviceMemory
  private let arenas: Arenas
  let scratch = SharedScratch()
  private let scaler: LossScaler?
  private var launches: [ProgramID: [OpenCLLaunch]] = [:]
  /// What comes before the update, unless a training step has just been run.
  private var search: [Command] = []
  private var tables: [ProgramID: ProgramTable] = [:]
  private var needs: [ProgramID: TableNeeds] = [:]
  /// Nil where they were discarded.
  private var datasets: [StoredDataset?] = []
  /// While set, steps run on a profiling queue and each is waited for.
  public var profile: LaunchProfile?
  private var stopwatch: CommandStopwatch?

  /// Loaded again, with smaller groups, where some kernel turns out to allow no more.
  static func make(
    _ plan: Plan, options: LoadOptions, device: OpenCLDevice
  ) throws(DeviceError) -> OpenCLLoadedPlan {
    try device.context.groupLimits.learning { () throws(DeviceError) in
      try OpenCLLoadedPlan(plan, options: options, device: device)
    }
  }

  private init(_ plan: Plan, options: LoadOptions, device: OpenCLDevice) throws(DeviceError) {
    self.plan = plan
    self.options = options
    self.device = device
    memory = try DeviceMemory(context: device.context)
    let schedules = Self.schedules(plan, options: options, storage: device.storage)
    let layout = try Self.layout(
      plan, schedules: schedules, options: options, device: device)
    guard layout.byteCount <= device.description.memory else {
      throw .outOfMemory(
        device: device.name, bytes: layout.byteCount,
        advice: "it has \(device.description.memory / 1_048_576) MiB; use a smaller --batch-size")
    }
    arenas = try Arenas(layout: layout, context: device.context)
    scaler =
      device.options.precision == .fp16
      ? try LossScaler(
        scale: device.options.lossScale, context: device.context, memory: memory) : nil
    let training = ProgramTable()
    // The update last: it writes the copies of weights that others have asked for.
    for id in options.programs.filter({ $0 != .update })
      + options.programs.filter({ $0 == .update })
    {
      guard let program = plan.programs[id], let schedule = schedules[id] else { continue }
      let table = id == .forwardBackward || id == .update ? training : ProgramTable()
      tables[id] = table
      try table.replace(with: nil, dataset: nil, steps: 1, adam: nil, memory: memory)
      let lowering = Lowering(
        plan: plan, program: program, options: options, device: device, arenas: arenas,
        table: table, scratch: scratch, scaler: scaler)
      var list: [OpenCLLaunch] = []
      for (index, item) in schedule.items.enumerated() {
        list.append(try lowering.launch(item, isLast: index == schedule.items.count - 1))
      }
      launches[id] = list
      if id == .update { search = lowering.search }
      needs[id] = TableNeeds(program)
    }
    try scratch.allocate(context: device.context)
    // Before the dry run, which reads weights and scratch, and after it, which leaves results.
    let read = arenas.all + [scratch.slot.buffer, scratch.library.buffer].compactMap { $0 }
    for buffer in read { try memory.fill(buffer, with: 0) }
    let clock = ContinuousClock()
    let start = clock.now
    try compileAll()
    device.context.count(firstRunSeconds: start.duration(to: clock.now) / .seconds(1))
    device.context.storePrograms()
    for buffer in arenas.all { try memory.fill(buffer, with: 0) }
    scratch.weightCopies.invalidate()
    try memory.finish()
  }

  /// Runs every kernel once on nothing, and every library's call on zeros at each live size that is
  /// foreseen: some platforms compile at the first enqueue, CLBlast at the first call, and whatever
  /// can fail is to fail here.
  private func compileAll() throws(DeviceError) {
    for (id, list) in launches {
      try scratch.weightCopies.refresh(for: id, on: memory.queue)
      let sizes = Set([plan.programs[id]?.capacity ?? 1] + (options.liveBatches[id] ?? []))
      for command in list.flatMap(\.commands) + (id == .update ? search : []) {
        switch command {
        case .kernel(let call):
          try call.enqueue(on: memory.queue, step: 0, live: 1, empties: true)
        case .library(let call):
          for live in sizes { try call.enqueue(memory.queue, live, nil) }
        }
      }
    }
    try memory.finish()
  }

  static func schedules(
    _ plan: Plan, options: LoadOptions, storage: StorageRule
  ) -> [ProgramID: Schedule] {
    var schedules: [ProgramID: Schedule] = [:]
    for id in options.programs {
      guard let program = plan.programs[id] else { continue }
      schedules[id] = Schedule(program, plan: plan) {
        options.fuses
          && Lowering.fuses($0, isHalf: { storage.type(of: plan[$0]) == .float16 })
      }
    }
    return schedules
  }

  /// Arenas by launches: what a fused launch no longer writes takes no memory.
  static func layout(
    _ plan: Plan, schedules: [ProgramID: Schedule], options: LoadOptions, device: OpenCLDevice
  ) throws(DeviceError) -> ArenaLayout {
    // Kernels count the elements of a tensor in 32 bits.
    for spec in plan.tensors where spec.elementCount > Int(Int32.max) {
      throw .unsupported(
        device: device.name,
        what: "tensor \(spec.name) of \(spec.elementCount) elements: use a smaller --batch-size")
    }
    do {
      return try ArenaLayout(
        plan: plan, programs: options.programs,
        maximumAllocation: device.description.maximumAllocation,
        reusesActivations: !options.keepsActivations,
        guardBytes: options.keepsActivations ? guardBytes : 0,
        touched: schedules.mapValues(\.touched), elementType: device.storage.type)
    } catch {
      throw .misused(device: device.name, what: "plan \(plan.name): \(error)")
    }
  }

  public var byteCount: Int {
    arenas.layout.byteCount + scratch.byteCount
  }

  public func launches(of program: ProgramID) -> [Launch] {
    (launches[program] ?? []).map(\.launch)
  }

  // MARK: Tensors

  private func place(_ tensor: TensorID) throws(DeviceError) -> (buffer: Buffer, offset: Int) {
    guard let place = arenas.place(of: tensor) else {
      throw .misused(
        device: device.name, what: "access to \(plan[tensor].name): no loaded program keeps it")
    }
    return place
  }

  public func write(_ values: [Float], to tensor: TensorID) throws(DeviceError) {
    let spec = plan[tensor]
    precondition(
      values.count <= spec.elementCount, "\(values.count) values for \(spec.name) are too many")
    let (buffer, offset) = try place(tensor)
    if spec.role == .parameter { scratch.weightCopies.invalidate() }
    if spec.role == .gradient { scaler?.isSearched = false }
    switch storage(of: tensor) {
    case .float32: try memory.write(values, to: buffer, offset: offset)
    case .float16: try memory.write(values.map { Float16($0) }, to: buffer, offset: offset)
    case .uint8: try memory.write(values.map { UInt8($0) }, to: buffer, offset: offset)
    case .bfloat16: throw unsupportedType(spec)
    }
  }

  public func write(_ values: [Double], to tensor: TensorID) throws(DeviceError) {
    try write(values.map { Float($0) }, to: tensor)
  }

  public func read(_ tensor: TensorID) throws(DeviceError) -> [Float] {
    let spec = plan[tensor]
    let (buffer, offset) = try place(tensor)
    func values<Element>(_ zero: Element) throws(DeviceError) -> [Element] {
      var result = Array(repeating: zero, count: spec.elementCount)
      try memory.read(buffer, offset: offset, into: &result, count: spec.elementCount)
      return result
    }
    switch storage(of: tensor) {
    case .float32: return try values(Float(0))
    case .float16: return try values(Float16(0)).map { Float($0) }
    case .uint8: return try values(UInt8(0)).map { Float($0) }
    case .bfloat16: throw unsupportedType(spec)
    }
  }

  public func readDoubles(_ tensor: TensorID) throws(DeviceError) -> [Double] {
    try read(tensor).map { Double($0) }
  }

  public func storage(of tensor: TensorID) -> ElementType {
    device.storage.type(of: plan[tensor])
  }

  public func lossScaling() throws(DeviceError) -> LossScaling? {
    try scaler?.state(memory: memory)
  }

  public func write(_ scaling: LossScaling) throws(DeviceError) {
    guard let scaler else {
      throw .misused(device: device.name, what: "a scaled loss in single precision")
    }
    try scaler.write(scaling, memory: memory)
  }

  private func unsupportedType(_ spec: TensorSpec) -> DeviceError {
    .unsupported(
      device: device.name,
      what: "\(spec.name) in \(spec.elementType.rawValue): it computes in float32 and float16")
  }

  // MARK: Data

  public func upload(_ dataset: Dataset) throws(DeviceError) -> DatasetID {
    let stored = try StoredDataset(dataset, memory: memory)
    // Once for a plan: what comes later takes the place of what was there.
    if datasets.isEmpty { try device.checkAfterUpload(stored, of: dataset, memory: memory) }
    datasets.append(stored)
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
    for case .gatherWindows(let op) in loaded.operations {
      guard let dataset else {
        throw .misused(
          device: device.name, what: "a table of dataset \(table.dataset.index): not uploaded")
      }
      if let fault = table.firstFault(shape: op.shape, dataset: dataset.dataset) {
        throw .misused(device: device.name, what: "this table: \(fault)")
      }
    }
    try state.replace(
      with: table, dataset: dataset,
      steps: max(table.stepCount(capacity: loaded.capacity), table.learningRates.count),
      adam: plan.adamSettings, memory: memory)
  }

  // MARK: Running

  public func run(_ program: ProgramID, step: Int, live: Int) throws(DeviceError) {
    let list = try prepare(program, step: step, live: live)
    if program == .forwardBackward { scaler?.isSearched = scaler?.isSearchedBySteps ?? false }
    if let profile {
      let stopwatch: CommandStopwatch
      if let known = self.stopwatch {
        stopwatch = known
      } else {
        stopwatch = try CommandStopwatch(context: device.context)
        self.stopwatch = stopwatch
      }
      try memory.finish()
      let times = try stopwatch.run(list, step: step, live: live)
      for (index, (launch, seconds)) in zip(list, times).enumerated() {
        profile.count(
          program, index, launch.launch.name, seconds: seconds.reduce(0, +),
          productOperations: plan.productOperations(launch.launch, of: program, live: live))
        for (command, seconds) in zip(launch.commands, seconds) {
          profile.count(kernel: command.name, seconds: seconds, cost: command.cost(live: live))
        }
      }
      return
    }
    for launch in list { try enqueue(launch, step: step, live: live) }
    try check(clFlush(memory.queue), "clFlush", on: device.name)
  }

  public func run(
    launch: Int, of program: ProgramID, step: Int, live: Int
  ) throws(DeviceError) {
    let list = try prepare(program, step: step, live: live)
    scaler?.isSearched = false
    precondition(list.indices.contains(launch), "\(program.rawValue) has \(list.count) launches")
    try enqueue(list[launch], step: step, live: live)
  }

  /// What the launches are made of.
  func commands(of program: ProgramID) -> [[Command]] {
    (launches[program] ?? []).map(\.commands)
  }

  /// Seconds of each command of each launch of one run.
  func seconds(
    of program: ProgramID, live: Int, on stopwatch: CommandStopwatch
  ) throws(DeviceError) -> [[Double]] {
    let list = try prepare(program, step: 0, live: live)
    try memory.finish()
    return try stopwatch.run(list, step: 0, live: live)
  }

  private func enqueue(
    _ launch: OpenCLLaunch, step: Int, live: Int
  ) throws(DeviceError) {
    for command in launch.commands {
      try command.enqueue(on: memory.queue, step: step, live: live)
    }
  }

  private func prepare(
    _ program: ProgramID, step: Int, live: Int
  ) throws(DeviceError) -> [OpenCLLaunch] {
    guard let list = launches[program], let table = tables[program],
      let needs = needs[program]
    else { throw .misused(device: device.name, what: "\(program.rawValue): not loaded") }
    precondition(
      live >= 1 && live <= needs.capacity,
      "\(live) samples do not fit \(program.rawValue): \(needs.capacity)")
    if needs.gathers, step * needs.capacity + live > table.entryCount {
      throw .misused(
        device: device.name, what: "step \(step) of \(live) samples: the table ends before it")
    }
    if needs.trains, step >= table.rateCount {
      throw .misused(
        device: device.name,
        what: "adam at step \(step): its table has \(table.rateCount) learning rates")
    }
    try table.reserveResult(step: step, memory: memory)
    try scratch.weightCopies.refresh(for: program, on: memory.queue)
    if program == .update, let scaler {
      if !scaler.isSearched {
        for command in search { try command.enqueue(on: memory.queue, step: step, live: live) }
      }
      scaler.isSearched = false
    }
    return list
  }

  public func results(
    of program: ProgramID, steps: Range<Int>
  ) throws(DeviceError) -> [StepResult] {
    guard let table = tables[program], steps.lowerBound >= 0,
      steps.upperBound <= table.stepCount
    else {
      throw .misused(
        device: device.name, what: "results of steps \(steps) of \(program.rawValue)")
    }
    var rows = Array(
      repeating: ProgramTable.Result(loss: 0, penalty: 0, hits: 0), count: steps.count)
    try memory.read(table.results, into: &rows, first: steps.lowerBound, count: steps.count)
    return rows.map { StepResult(loss: $0.loss, penalty: $0.penalty, hits: Int($0.hits)) }
  }
}

extension OpenCLLoadedPlan: GuardedPlan {
  private static let pattern: UInt8 = 0xA5

  /// Bytes behind each activation; none unless the plan was loaded with `keepsActivations`, and for
  /// one program alone: those of another may lie over this one's tensors.
  private var guardZones: [(tensor: TensorID, buffer: Buffer, offset: Int)] {
    guard options.keepsActivations, options.programs.count == 1 else { return [] }
    return plan.tensors(role: .activation).compactMap { id in
      arenas.place(of: id).map {
        (id, $0.buffer, $0.offset + plan[id].elementCount * storage(of: id).byteCount)
      }
    }
  }

  public func fillGuards() throws(DeviceError) {
    for zone in guardZones {
      try memory.fill(
        zone.buffer, with: Self.pattern, offset: zone.offset, count: Self.guardBytes)
    }
  }

  public func damagedGuards() throws(DeviceError) -> [String] {
    var names: [String] = []
    for zone in guardZones {
      var bytes = [UInt8](repeating: 0, count: Self.guardBytes)
      try memory.read(zone.buffer, offset: zone.offset, into: &bytes, count: Self.guardBytes)
      if !bytes.allSatisfy({ $0 == Self.pattern }) { names.append(plan[zone.tensor].name) }
    }
    return names
  }
}

/// What a program asks of its table, found out once.
private struct TableNeeds {
  let capacity: Int
  let gathers: Bool
  let trains: Bool

  init(_ program: Program) {
    capacity = program.capacity
    gathers = program.operations.contains { $0.kind == .gatherWindows }
    trains = program.operations.contains { $0.phase == .update }
  }
}

extension Plan {
  /// Those of the update, if the plan has one.
  fileprivate var adamSettings: AdamSettings? {
    for case .adam(let op) in programs[.update]?.operations ?? [] { return op.settings }
    return nil
  }
}
