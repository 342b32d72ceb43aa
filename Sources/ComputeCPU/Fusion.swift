import Compute

/// Operations that run as one launch: found by pattern, a private lowering of this device.
struct FusedGroup {
  var name: String
  /// Ascending.
  var operations: [Int]
  /// Where in the order of the operations it runs.
  var place: Int
  /// Tensors that it reads, whatever its operations say.
  var needs: Set<TensorID>
  /// Tensors that it writes, of those that its operations write.
  var produces: Set<TensorID>
  var body: (Lowering) throws(DeviceError) -> LaunchBody
}

/// How a program is cut into launches.
struct Schedule {
  struct Item {
    var launch: Launch
    var reads, writes: Set<TensorID>
    /// Nil for an operation alone.
    var group: FusedGroup?
    var place: Int
  }

  private(set) var items: [Item]

  /// One launch an operation, but for the groups that are found. A group whose result is missed, or
  /// that would read what is written later, is given up.
  init(_ program: Program, plan: Plan, fuses: Bool) {
    var groups = fuses ? FusionFinder(program, plan).groups() : []
    while true {
      items = Self.items(program, groups)
      guard let faulty = Self.firstFaulty(items, program, plan) else { return }
      groups.removeAll { $0.operations == faulty }
    }
  }

  /// What each launch touches, for the layout.
  var touched: [[TensorID]] { items.map { $0.reads.union($0.writes).sorted() } }

  private static func items(_ program: Program, _ groups: [FusedGroup]) -> [Item] {
    let covered = Set(groups.flatMap(\.operations))
    var result: [Item] = groups.map { group in
      let written = Set(group.operations.flatMap { program.operations[$0].writes })
      return Item(
        launch: Launch(
          name: group.name, operations: group.operations,
          elided: written.subtracting(group.produces)),
        reads: group.needs, writes: group.produces, group: group, place: group.place)
    }
    for (index, operation) in program.operations.enumerated() where !covered.contains(index) {
      result.append(
        Item(
          launch: Launch(name: operation.name, operations: [index]),
          reads: Set(operation.reads), writes: Set(operation.writes), place: index))
    }
    return result.sorted { $0.place < $1.place }
  }

  /// Operations of a group that cannot stand.
  private static func firstFaulty(_ items: [Item], _ program: Program, _ plan: Plan) -> [Int]? {
    // Who elides what, and who writes what where.
    var writers: [TensorID: Int] = [:]
    for (index, item) in items.enumerated() {
      for id in item.writes { writers[id] = max(writers[id] ?? -1, index) }
    }
    let elided = Set(items.flatMap(\.launch.elided))
    for id in program.outputs where elided.contains(id) {
      if let item = items.first(where: { $0.launch.elided.contains(id) }) {
        return item.launch.operations
      }
    }
    for (index, item) in items.enumerated() {
      for id in item.reads where plan[id].role == .activation {
        if elided.contains(id) {
          let writer = items.first { $0.launch.elided.contains(id) }
          return (item.group == nil ? writer : item)?.launch.operations
        }
        if let writer = writers[id], writer > index {
          return (item.group == nil ? items[writer] : item).launch.operations
        }
      }
    }
    return nil
  }
}

/// Looks for the patterns of this device.
struct FusionFinder {
  let program: Program
  let plan: Plan
  /// Operations that read each tensor, ascending.
  private(set) var readers: [TensorID: [Int]] = [:]
  /// The operation that writes each tensor.
  private(set) var writer: [TensorID: Int] = [:]

  init(_ program: Program, _ plan: Plan) {
    self.program = program
    self.plan = plan
    for (index, operation) in program.operations.enumerated() {
      for id in operation.reads { readers[id, default: []].append(index) }
      for id in operation.writes { writer[id] = index }
    }
  }

  subscript(index: Int) -> Operation { program.operations[index] }

  /// The only operation that reads a tensor, if there is but one.
  func onlyReader(of id: TensorID) -> Int? {
    guard let all = readers[id], all.count == 1, !program.outputs.contains(id) else { return nil }
    return all[0]
  }

  /// Readers of a tensor in the forward pass: those that are not backward operations.
  func forwardReader(of id: TensorID) -> Int? {
    let all = (readers[id] ?? []).filter { !self[$0].isBackward }
    return all.count == 1 ? all[0] : nil
  }

  /// Patterns that do not overlap, the largest first.
  func groups() -> [FusedGroup] {
    var taken: Set<Int> = []
    var result: [FusedGroup] = []
    let found =
      attentionGroups() + squeezeBlockGroups() + normBlockGroups() + gradientSumGroups()
      + unbiasedKernelGroups()
    for group in found {
      guard taken.isDisjoint(with: group.operations) else { continue }
      taken.formUnion(group.operations)
      result.append(group)
    }
    return result
  }
}

extension Operation {
  var isBackward: Bool {
    switch self {
    case .conv1DBackwardInput, .conv1DBackwardKernel, .batchNormBackward, .layerNormBackward,
      .reluBackward, .sigmoidBackward, .denseBackwardInput, .denseBackwardKernel,
      .concatenateBackward, .scaleChannelsBackward, .maxPoolBackward, .meanOverTimeBackward,
      .dropoutBackward, .attentionBackward:
      true
    default: false
    }
  }
}
