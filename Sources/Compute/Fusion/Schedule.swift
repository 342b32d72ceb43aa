/// Operations that a device can run as one launch, whatever their place in the network: the search
/// is shared, what is made of it is each device's private lowering.
public struct FusedPattern: Sendable {
  public enum Kind: Sendable {
    case attentionMean(AttentionMean)
    case attentionMeanGradient(AttentionMeanGradient)
    case squeezeBlock(SqueezeBlock)
    case squeezeBlockGradient(SqueezeBlockGradient)
    case normBlock(NormBlock)
    case normBlockGradient(NormBlockGradient)
    case gradientSum(GradientSum)
    case unbiasedKernel(Conv1DBackwardKernel)
    case kernelGradients(KernelGradients)
    case noisyWindows(NoisyWindows)
    case denseBlock(DenseBlock)
    case denseGradient(DenseGradient)
    case denseLoss(DenseLoss)
  }

  public var kind: Kind
  public var name: String
  /// Ascending.
  public var operations: [Int]
  /// Where in the order of the operations it runs.
  var place: Int
  /// Tensors that it reads, whatever its operations say.
  public var needs: Set<TensorID>
  /// Tensors that it writes, of those that its operations write.
  public var produces: Set<TensorID>
}

/// How a program is cut into launches.
public struct Schedule: Sendable {
  public struct Item: Sendable {
    public var launch: Launch
    public var reads, writes: Set<TensorID>
    /// Nil for an operation alone.
    public var pattern: FusedPattern?
    var place: Int
  }

  public private(set) var items: [Item]

  /// One launch an operation, but for the patterns that are found. One whose result is missed, or
  /// that would read what is written later, is given up.
  ///
  /// - Parameter accepts: the patterns that the device has launches for; those that come first in
  ///   `FusionFinder.patterns()` win.
  public init(_ program: Program, plan: Plan, accepts: (FusedPattern) -> Bool) {
    var patterns = FusionFinder(program, plan).patterns(where: accepts)
    while true {
      items = Self.items(program, patterns)
      guard let faulty = Self.firstFaulty(items, program, plan) else { return }
      patterns.removeAll { $0.operations == faulty }
    }
  }

  /// What each launch touches, for the layout.
  public var touched: [[TensorID]] { items.map { $0.reads.union($0.writes).sorted() } }

  private static func items(_ program: Program, _ patterns: [FusedPattern]) -> [Item] {
    let covered = Set(patterns.flatMap(\.operations))
    var result: [Item] = patterns.map { pattern in
      let written = Set(pattern.operations.flatMap { program.operations[$0].writes })
      return Item(
        launch: Launch(
          name: pattern.name, operations: pattern.operations,
          elided: written.subtracting(pattern.produces)),
        reads: pattern.needs, writes: pattern.produces, pattern: pattern, place: pattern.place)
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
          return (item.pattern == nil ? writer : item)?.launch.operations
        }
        if let writer = writers[id], writer > index {
          return (item.pattern == nil ? items[writer] : item).launch.operations
        }
      }
    }
    return nil
  }
}

/// Looks for operations that belong together.
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

  /// The operation at a place, if it is of this type.
  func operation<Wanted: PlanOperation>(_ index: Int?, _: Wanted.Type) -> Wanted? {
    index.flatMap { program.operations[$0].content as? Wanted }
  }

  /// The operation that writes a tensor, if it is of this type, with its place.
  func writer<Wanted: PlanOperation>(
    of id: TensorID, _: Wanted.Type
  ) -> (place: Int, op: Wanted)? {
    guard let place = writer[id], let op = operation(place, Wanted.self) else { return nil }
    return (place, op)
  }

  /// The first operation of this type that reads a tensor, with its place.
  func reader<Wanted: PlanOperation>(
    of id: TensorID, _: Wanted.Type
  ) -> (place: Int, op: Wanted)? {
    for place in readers[id] ?? [] {
      if let op = operation(place, Wanted.self) { return (place, op) }
    }
    return nil
  }

  /// The only operation that reads a tensor, if it is of this type, with its place.
  func onlyReader<Wanted: PlanOperation>(
    of id: TensorID, _: Wanted.Type
  ) -> (place: Int, op: Wanted)? {
    guard let place = onlyReader(of: id), let op = operation(place, Wanted.self) else {
      return nil
    }
    return (place, op)
  }

  /// The only operation of the forward pass that reads a tensor, if it is of this type, with its
  /// place.
  func forwardReader<Wanted: PlanOperation>(
    of id: TensorID, _: Wanted.Type
  ) -> (place: Int, op: Wanted)? {
    guard let place = forwardReader(of: id), let op = operation(place, Wanted.self) else {
      return nil
    }
    return (place, op)
  }

  /// The only operation that reads a tensor, if there is but one.
  func onlyReader(of id: TensorID) -> Int? {
    guard let all = readers[id], all.count == 1, !program.outputs.contains(id) else { return nil }
    return all[0]
  }

  /// Readers of a tensor in the forward pass: those that are not backward operations.
  func forwardReader(of id: TensorID) -> Int? {
    let all = (readers[id] ?? []).filter { program.operations[$0].phase == .forward }
    return all.count == 1 ? all[0] : nil
  }

  /// Patterns that do not overlap, the largest first.
  func patterns(where accepts: (FusedPattern) -> Bool) -> [FusedPattern] {
    var taken: Set<Int> = []
    var result: [FusedPattern] = []
    let found =
      attentionMeans() + squeezeBlocks() + normBlocks() + gradientSums() + kernelGradients()
      + unbiasedKernels() + noisyWindows() + denseLosses() + denseBlocks() + denseGradients()
    for pattern in found where accepts(pattern) {
      guard taken.isDisjoint(with: pattern.operations) else { continue }
      taken.formUnion(pattern.operations)
      result.append(pattern)
    }
    return result
  }
}
