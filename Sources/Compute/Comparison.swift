/// One tensor, or one figure of a step's result, that a launch wrote.
public struct TensorComparison: Sendable, CustomStringConvertible {
  public let tensor: String
  /// Of the live elements.
  public let elementCount: Int
  /// ‖candidate − reference‖; NaN where the candidate left an element unwritten.
  public let error: Double
  /// Largest error that passes, see `ComparisonBound`.
  public let bound: Double
  /// Slots beyond the live ones that the candidate wrote, in words.
  public let damage: String?

  public var passes: Bool { damage == nil && error <= bound }

  public var description: String {
    "\(tensor): error \(error), bound \(bound)" + (damage.map { "; \($0)" } ?? "")
  }
}

/// A launch of the candidate beside the same operations of the reference.
public struct LaunchComparison: Sendable, CustomStringConvertible {
  public let launch: Launch
  public let tensors: [TensorComparison]

  public var passes: Bool { tensors.allSatisfy(\.passes) }
  public var failures: [TensorComparison] { tensors.filter { !$0.passes } }
  public var description: String {
    "\(launch.name) \(launch.operations): "
      + tensors.map(\.description).joined(separator: ", ")
  }
}

/// A device that leaves guard zones around its tensors and can tell whether they were written.
public protocol GuardedPlan: LoadedPlan {
  /// Fills every guard zone with a pattern.
  func fillGuards() throws(DeviceError)
  /// Names of the tensors beside which the pattern is no longer whole.
  func damagedGuards() throws(DeviceError) -> [String]
}

/// Runs a program launch by launch on both and compares all that each launch of the candidate
/// writes: what the launch reads is first copied from the reference, so that errors do not add up.
/// Both plans have been loaded from the same plan with the same seed, the candidate keeping its
/// activations; both hold the inputs, datasets and tables of the step, and both advance by it.
///
/// Before each launch, everything that it is to write and every slot beyond the live ones is
/// poisoned in the candidate with NaN (0xA5 in bytes): an element left out, a read beyond the live
/// slots or a write beyond them all show. What is written alone has another mark beyond the live
/// slots, lest NaN that is read there and written there goes unseen.
///
/// What the candidate stores in half precision, the reference reads as it was rounded; where the
/// candidate scales the loss, the reference's gradients are scaled alike.
///
/// - Parameter reference: one launch an operation.
/// - Throws: `DeviceError` where either device fails.
public func compare(
  reference: any LoadedPlan, candidate: any LoadedPlan, program: ProgramID, step: Int, live: Int
) throws(DeviceError) -> [LaunchComparison] {
  let comparison = Comparison(
    reference: reference, candidate: candidate, program: program, step: step, live: live)
  var report: [LaunchComparison] = []
  for index in candidate.launches(of: program).indices {
    report.append(try comparison.compare(launch: index))
  }
  return report
}

/// What one comparison of a program needs at hand.
private struct Comparison {
  let reference: any LoadedPlan
  let candidate: any LoadedPlan
  let program: ProgramID
  let step: Int
  let live: Int
  let launches: [Launch]
  /// Launch of the reference for each operation.
  let referenceLaunches: [Int: Int]
  /// Tensors for which the candidate has no memory.
  let elided: Set<TensorID>

  private var plan: Plan { reference.plan }

  init(
    reference: any LoadedPlan, candidate: any LoadedPlan, program: ProgramID, step: Int, live: Int
  ) {
    self.reference = reference
    self.candidate = candidate
    self.program = program
    self.step = step
    self.live = live
    launches = candidate.launches(of: program)
    elided = launches.reduce(into: []) { $0.formUnion($1.elided) }
    var owners: [Int: Int] = [:]
    for (index, launch) in reference.launches(of: program).enumerated() {
      precondition(launch.operations.count == 1, "the reference runs operations one by one")
      for operation in launch.operations { owners[operation] = index }
    }
    referenceLaunches = owners
  }

  func compare(launch index: Int) throws(DeviceError) -> LaunchComparison {
    let launch = launches[index]
    let operations = launch.operations.compactMap { plan.programs[program]?.operations[$0] }
    let (reads, writers) = dataflow(of: operations)
    let written = writers.keys.filter { !elided.contains($0) }.sorted()

    var before: [TensorID: [Double]] = [:]
    for id in reads { before[id] = try reference.readDoubles(id) }
    let scale = Double(try candidate.lossScaling()?.scale ?? 1)
    let updates = operations.contains { $0.phase == .update }
    for id in reads where !elided.contains(id) {
      let factor = updates && plan[id].role == .gradient ? scale : 1
      try candidate.write(poisoned(id, keeping: before[id], times: factor), to: id)
      if isHalf(id) {
        let rounded = Array(
          try candidate.readDoubles(id).prefix(plan[id].elementCount(live: live)))
        try reference.write(rounded, to: id)
        before[id]?.replaceSubrange(rounded.indices, with: rounded)
      }
    }
    for id in written where before[id] == nil {
      try candidate.write(poisoned(id, keeping: nil), to: id)
    }
    let guarded = candidate as? any GuardedPlan
    try guarded?.fillGuards()

    try candidate.run(launch: index, of: program, step: step, live: live)
    for operation in launch.operations {
      guard let owner = referenceLaunches[operation] else { continue }
      try reference.run(launch: owner, of: program, step: step, live: live)
      if let done = plan.programs[program]?.operations[operation] {
        try scaleLoss(of: done, by: scale)
      }
    }

    var after: [TensorID: [Double]] = [:]
    for id in reads + Array(writers.keys) { after[id] = try reference.readDoubles(id) }
    let touched = (reads + Array(writers.keys)).filter { !elided.contains($0) }
    let bounds = ComparisonBound(
      values: ComparedValues(plan: plan, live: live, before: before, after: after),
      isHalf: touched.contains(where: isHalf))
    var tensors: [TensorComparison] = []
    for id in written {
      guard let writer = writers[id] else { continue }
      tensors.append(
        compare(
          id, found: try candidate.readDoubles(id), expected: after[id] ?? [],
          bound: bounds.bound(of: id, writtenBy: writer), beyond: beyond(id, before[id])))
    }
    tensors += try compareResults(of: operations)
    for name in try guarded?.damagedGuards() ?? [] {
      tensors.append(
        TensorComparison(
          tensor: name, elementCount: 0, error: 0, bound: 0,
          damage: "memory beside it was written"))
    }
    return LaunchComparison(launch: launch, tensors: tensors)
  }

  private func isHalf(_ id: TensorID) -> Bool { candidate.storage(of: id) == .float16 }

  /// Where the candidate's gradients begin they are multiplied; all others follow in proportion.
  private func scaleLoss(of operation: Operation, by scale: Double) throws(DeviceError) {
    guard scale != 1, case .softmaxCrossEntropy(let op) = operation,
      let gradient = op.logitsGradient
    else { return }
    try reference.write(reference.readDoubles(gradient).map { $0 * scale }, to: gradient)
  }

  /// Tensors read before the launch writes them, and the last operation to write each tensor.
  private func dataflow(
    of operations: [Operation]
  ) -> (reads: [TensorID], writers: [TensorID: Operation]) {
    var reads: Set<TensorID> = []
    var writers: [TensorID: Operation] = [:]
    for operation in operations {
      reads.formUnion(operation.reads.filter { writers[$0] == nil })
      for id in operation.writes { writers[id] = operation }
    }
    return (reads.sorted(), writers)
  }

  /// What lies beyond the live slots of a tensor, whose values are kept if any.
  private func beyond(_ id: TensorID, _ values: [Double]?) -> Double {
    let type = plan[id].elementType
    return values == nil ? type.mark : type.poison
  }

  /// The live values, if any are kept, or poison; and what shows a write beyond them.
  private func poisoned(
    _ id: TensorID, keeping values: [Double]?, times factor: Double = 1
  ) -> [Double] {
    let spec = plan[id]
    var result = Array(repeating: spec.elementType.poison, count: spec.elementCount)
    if let values {
      let count = spec.elementCount(live: live)
      result.replaceSubrange(0..<count, with: values[0..<count].map { $0 * factor })
    }
    for index in spec.elementCount(live: live)..<spec.elementCount {
      result[index] = beyond(id, values)
    }
    return result
  }

  private func compare(
    _ id: TensorID, found: [Double], expected: [Double], bound: Double, beyond: Double
  ) -> TensorComparison {
    let spec = plan[id]
    let count = spec.elementCount(live: live)
    var squares = 0.0
    for i in 0..<count { squares += (found[i] - expected[i]) * (found[i] - expected[i]) }
    let spoilt = (count..<spec.elementCount).filter {
      beyond.isNaN ? !found[$0].isNaN : found[$0] != beyond
    }
    return TensorComparison(
      tensor: spec.name, elementCount: count, error: squares.squareRoot(), bound: bound,
      damage: spoilt.first.map {
        "\(spoilt.count) elements beyond the \(live) live samples were written, first \($0)"
      })
  }

  private func compareResults(
    of operations: [Operation]
  ) throws(DeviceError) -> [TensorComparison] {
    guard operations.contains(where: \.reports) else { return [] }
    let found = try candidate.results(of: program, steps: step..<step + 1)[0]
    let expected = try reference.results(of: program, steps: step..<step + 1)[0]
    func figure(_ name: String, _ a: Double, _ b: Double, _ bound: Double) -> TensorComparison {
      TensorComparison(
        tensor: "result/\(name)", elementCount: 1, error: abs(a - b), bound: bound, damage: nil)
    }
    // Sums of positive terms: their magnitude is their value.
    let loss = Double(expected.loss)
    let penalty = Double(expected.penalty)
    return [
      figure("loss", Double(found.loss), loss, ComparisonBound.relative.squareRoot() * loss),
      figure(
        "penalty", Double(found.penalty), penalty,
        ComparisonBound.relative.squareRoot() * penalty),
      figure("hits", Double(found.hits), Double(expected.hits), 0),
    ]
  }
}

extension ElementType {
  /// A value that no operation writes.
  fileprivate var poison: Double {
    switch self {
    case .float32, .float16, .bfloat16: .nan
    case .uint8: 0xA5
    }
  }

  /// Another one, which every type of floating point holds exactly.
  fileprivate var mark: Double {
    switch self {
    case .float32, .float16, .bfloat16: -24_576
    case .uint8: poison
    }
  }
}
