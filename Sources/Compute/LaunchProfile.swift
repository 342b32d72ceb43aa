/// A plan that can tell where its time goes.
public protocol ProfiledPlan: LoadedPlan {
  /// Times of each launch, collected while set; a device may then run slower.
  var profile: LaunchProfile? { get set }
}

/// Where a step's time goes: calls and seconds of each launch, collected while it is set on a
/// `ProfiledPlan`.
public final class LaunchProfile {
  public struct Entry: Sendable, Hashable {
    public var program: ProgramID
    /// Place in the program's list of launches.
    public var launch: Int
    public var name: String
    public var calls: Int
    public var seconds: Double
    /// Of all calls: floating-point operations of the matrix products that the plan's operations
    /// ask for, a multiply-add counted as two; 0 where there are none.
    public var productOperations: Double
  }

  /// One kernel, or whatever else a device's launches are made of: all its calls together.
  public struct Kernel: Sendable, Hashable {
    public var name: String
    public var calls: Int
    public var seconds: Double
    public var cost: KernelCost
  }

  private var byProgram: [ProgramID: [Entry]] = [:]
  private var byName: [String: Kernel] = [:]
  private let clock = ContinuousClock()

  public init() {}

  /// In the order of the programs and their launches.
  public var entries: [Entry] {
    ProgramID.allCases.flatMap { byProgram[$0] ?? [] }
  }

  /// Sums by name, longest first.
  public var totals: [(name: String, calls: Int, seconds: Double, productOperations: Double)] {
    var sums: [String: (calls: Int, seconds: Double, products: Double)] = [:]
    for entry in entries {
      let old = sums[entry.name] ?? (0, 0, 0)
      sums[entry.name] = (
        old.calls + entry.calls, old.seconds + entry.seconds,
        old.products + entry.productOperations
      )
    }
    return sums.map { ($0.key, $0.value.calls, $0.value.seconds, $0.value.products) }
      .sorted { ($1.seconds, $0.name) < ($0.seconds, $1.name) }
  }

  /// All kernels, the slowest first.
  public var kernels: [Kernel] {
    byName.values.sorted { ($1.seconds, $0.name) < ($0.seconds, $1.name) }
  }

  /// Runs a launch on the host, a kernel of its own, and counts the time until it returns.
  public func measure(
    _ program: ProgramID, _ launch: Int, _ name: String, cost: KernelCost,
    _ body: () throws(DeviceError) -> Void
  ) throws(DeviceError) {
    let start = clock.now
    try body()
    let seconds = (clock.now - start) / .seconds(1)
    count(program, launch, name, seconds: seconds, productOperations: cost.productOperations)
    count(kernel: name, seconds: seconds, cost: cost)
  }

  /// Counts one call of a kernel, timed by whoever ran it.
  public func count(kernel name: String, seconds: Double, cost: KernelCost) {
    var kernel =
      byName[name] ?? Kernel(name: name, calls: 0, seconds: 0, cost: KernelCost())
    kernel.calls += 1
    kernel.seconds += seconds
    kernel.cost.bytes += cost.bytes
    kernel.cost.productOperations += cost.productOperations
    byName[name] = kernel
  }

  /// Counts one call of a launch, timed by whoever ran it.
  public func count(
    _ program: ProgramID, _ launch: Int, _ name: String, seconds: Double,
    productOperations: Double
  ) {
    var list = byProgram[program] ?? []
    while list.count <= launch {
      list.append(
        Entry(
          program: program, launch: list.count, name: name, calls: 0, seconds: 0,
          productOperations: 0))
    }
    list[launch].name = name
    list[launch].calls += 1
    list[launch].seconds += seconds
    list[launch].productOperations += productOperations
    byProgram[program] = list
  }
}

extension Plan {
  /// What a launch has to do at least: each tensor read or written once, and its products.
  public func cost(of launch: Launch, of program: ProgramID, live: Int) -> KernelCost {
    var touched: Set<TensorID> = []
    for index in launch.operations {
      guard let operation = programs[program]?.operations[index] else { continue }
      touched.formUnion(operation.reads + operation.writes)
    }
    let bytes = touched.subtracting(launch.elided).reduce(0) {
      $0 + self[$1].elementCount(live: live) * self[$1].elementType.byteCount
    }
    return KernelCost(
      bytes: Double(bytes),
      productOperations: productOperations(launch, of: program, live: live))
  }

  /// Floating-point operations of the matrix products that a launch covers.
  public func productOperations(_ launch: Launch, of program: ProgramID, live: Int) -> Double {
    launch.operations.reduce(0) {
      $0 + (programs[program]?.operations[$1].productOperations ?? 0) * Double(live)
    }
  }
}
