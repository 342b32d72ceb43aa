/// Where each tensor of a plan lives: one arena a role, cut into segments where a device caps the
/// size of an allocation, no tensor across a cut. A pure value, made without a device.
public struct ArenaLayout: Sendable {
  /// A tensor's place.
  public struct Placement: Sendable, Hashable {
    public var role: TensorSpec.Role
    public var segment: Int
    /// In bytes from the segment's start; a multiple of the alignment, except in the parameter,
    /// gradient and moment arenas, which are packed so that one launch runs over all of them.
    public var offset: Int
    public var byteCount: Int
  }

  public enum LayoutError: Error, Equatable, CustomStringConvertible {
    case tensorTooLarge(name: String, bytes: Int, maximum: Int)

    public var description: String {
      switch self {
      case .tensorTooLarge(let name, let bytes, let maximum):
        "tensor \(name) needs \(bytes) bytes, but the device allocates at most \(maximum) at once: "
          + "use a smaller --batch-size"
      }
    }
  }

  /// Bytes of each segment of each role's arena.
  public private(set) var segments: [TensorSpec.Role: [Int]] = [:]
  /// By tensor index; nil for tensors that no loaded program uses or that are elided.
  public private(set) var placements: [Placement?]

  /// Total bytes of all arenas.
  public var byteCount: Int { segments.values.reduce(0) { $0 + $1.reduce(0, +) } }

  /// - Parameters:
  ///   - programs: the programs that will be run; gradients and moments are laid out only if one of
  ///     them touches them.
  ///   - maximumAllocation: most bytes of a segment, or nil.
  ///   - alignment: of every activation and statistic, in bytes.
  ///   - reusesActivations: lets activations of one program share memory once nothing reads them
  ///     again; off while operations are compared one by one.
  ///   - elided: tensors that a device's fused launches no longer write.
  ///   - guardBytes: space left free after each activation, for canaries in tests.
  ///   - touched: for programs that a device lowers to launches of its own: the tensors that each
  ///     launch reads or writes, in the order of the launches. Lifetimes are then counted in
  ///     launches, and tensors that none touches have no place.
  ///   - elementType: how a device stores a tensor, where it is not as the plan says.
  public init(
    plan: Plan, programs: [ProgramID], maximumAllocation: Int? = nil, alignment: Int = 128,
    reusesActivations: Bool = true, elided: Set<TensorID> = [], guardBytes: Int = 0,
    touched: [ProgramID: [[TensorID]]] = [:],
    elementType: (TensorSpec) -> ElementType = \.elementType
  ) throws(LayoutError) {
    let sizes = plan.tensors.map { $0.elementCount * elementType($0).byteCount }
    placements = Array(repeating: nil, count: plan.tensors.count)
    let limit = maximumAllocation ?? Int.max
    for (index, spec) in plan.tensors.enumerated()
    where sizes[index] > limit && !elided.contains(TensorID(index: index)) {
      throw .tensorTooLarge(name: spec.name, bytes: sizes[index], maximum: limit)
    }
    let loaded = programs.compactMap { plan.programs[$0] }
    var used: Set<TensorID> = []
    for program in loaded {
      used.formUnion(program.inputs)
      used.formUnion(program.outputs)
      for tensors in touched[program.id] ?? Self.tensors(of: program) {
        used.formUnion(tensors)
      }
    }
    used.subtract(elided)
    for role in TensorSpec.Role.allCases where role != .activation {
      let isUsed = plan.tensors(role: role).contains { used.contains($0) }
      guard isUsed || role == .parameter || role == .statistic else { continue }
      placeInOrder(
        plan.tensors(role: role), sizes: sizes, role: role, limit: limit,
        alignment: role == .statistic ? alignment : 1, guardBytes: 0)
    }
    for program in loaded {
      placeActivations(
        of: program, plan: plan, sizes: sizes,
        touched: touched[program.id] ?? Self.tensors(of: program), used: used, limit: limit,
        alignment: alignment,
        reuses: reusesActivations, guardBytes: guardBytes)
    }
  }

  public subscript(id: TensorID) -> Placement? { placements[id.index] }

  private mutating func placeInOrder(
    _ ids: [TensorID], sizes byteCounts: [Int], role: TensorSpec.Role, limit: Int, alignment: Int,
    guardBytes: Int
  ) {
    var sizes: [Int] = []
    var end = 0
    for id in ids {
      let bytes = byteCounts[id.index]
      var offset = Self.roundUp(end, to: alignment)
      if sizes.isEmpty || offset + bytes > limit {
        sizes.append(0)
        offset = 0
      }
      placements[id.index] = Placement(
        role: role, segment: sizes.count - 1, offset: offset, byteCount: bytes)
      end = offset + bytes
      sizes[sizes.count - 1] = end
    }
    segments[role] = sizes
  }

  /// Largest first, each at the lowest offset where no tensor alive at the same time lies.
  private mutating func placeActivations(
    of program: Program, plan: Plan, sizes byteCounts: [Int], touched: [[TensorID]],
    used: Set<TensorID>, limit: Int, alignment: Int, reuses: Bool, guardBytes: Int
  ) {
    let lifetimes = Self.lifetimes(of: program, plan: plan, touched: touched)
    let ids = lifetimes.keys.filter { used.contains($0) }
      .sorted { (byteCounts[$1.index], $0) < (byteCounts[$0.index], $1) }
    var placed: [(id: TensorID, placement: Placement)] = []
    var sizes = segments[.activation] ?? []
    for id in ids {
      guard let lifetime = lifetimes[id] else { continue }
      let size = byteCounts[id.index]
      let bytes = Self.roundUp(size + guardBytes, to: alignment)
      var segment = 0
      var offset = 0
      while true {
        let rivals = placed.filter {
          $0.placement.segment == segment
            && (!reuses || lifetimes[$0.id].map { $0.overlaps(lifetime) } ?? true)
        }.sorted { $0.placement.offset < $1.placement.offset }
        offset = 0
        for rival in rivals where rival.placement.offset < offset + bytes {
          let end = rival.placement.offset + rival.placement.byteCount + guardBytes
          offset = max(offset, Self.roundUp(end, to: alignment))
        }
        if offset == 0 || offset + size + guardBytes <= limit { break }
        segment += 1
      }
      let placement = Placement(
        role: .activation, segment: segment, offset: offset, byteCount: size)
      placed.append((id, placement))
      placements[id.index] = placement
      while sizes.count <= segment { sizes.append(0) }
      sizes[segment] = max(sizes[segment], offset + size + guardBytes)
    }
    segments[.activation] = sizes
  }

  private static func tensors(of program: Program) -> [[TensorID]] {
    program.operations.map { $0.reads + $0.writes }
  }

  /// First and last launch that touches each activation of a program; by default, each operation is
  /// a launch.
  static func lifetimes(
    of program: Program, plan: Plan, touched: [[TensorID]]? = nil
  ) -> [TensorID: ClosedRange<Int>] {
    var result: [TensorID: ClosedRange<Int>] = [:]
    func touch(_ id: TensorID, at index: Int) {
      guard plan[id].role == .activation else { return }
      guard let old = result[id] else {
        result[id] = index...index
        return
      }
      result[id] = min(old.lowerBound, index)...max(old.upperBound, index)
    }
    let launches = touched ?? tensors(of: program)
    for (index, tensors) in launches.enumerated() {
      for id in tensors { touch(id, at: index) }
    }
    for id in program.inputs { touch(id, at: -1) }
    for id in program.outputs { touch(id, at: launches.count) }
    return result
  }

  private static func roundUp(_ value: Int, to multiple: Int) -> Int {
    (value + multiple - 1) / multiple * multiple
  }
}
