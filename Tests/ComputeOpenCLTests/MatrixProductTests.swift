import Compute
import Testing

@testable import ComputeOpenCL

/// Products that lowerings build from, on matrices with gaps, heads and samples.
@Suite(.needsOpenCL) struct MatrixProductTests {
  /// Sizes of one product; strides are wider than the matrices.
  struct Sizes: CustomStringConvertible {
    var form: MatrixProduct.Form
    var rows: Int
    var columns: Int
    var depth: Int
    var capacity = 1
    var live = 1
    var heads = 1
    var gap = 0
    var isPerSample = false
    var scale: Float = 1
    /// A bias, or column sums where the left factor is turned.
    var hasRow = false

    var description: String {
      "\(form) \(rows)×\(columns)×\(depth), \(live)/\(capacity) samples, \(heads) heads, "
        + "gap \(gap), scale \(scale), row \(hasRow)"
    }

    /// Rows and columns of the factors as they lie in memory.
    var a: (Int, Int) { form == .leftTurned ? (depth, rows) : (rows, depth) }
    var b: (Int, Int) { form == .rightTurned ? (columns, depth) : (depth, columns) }
    var c: (Int, Int) { (rows, columns) }

    /// Heads lie beside one another in a row, samples below one another.
    func stride(_ shape: (Int, Int)) -> Int { heads * shape.1 + gap }
    func count(_ shape: (Int, Int)) -> Int { capacity * shape.0 * stride(shape) }
  }

  static let sizes: [Sizes] = [
    Sizes(form: .plain, rows: 5, columns: 7, depth: 3, capacity: 3, live: 2, hasRow: true),
    Sizes(form: .plain, rows: 33, columns: 40, depth: 20, capacity: 3, live: 3, gap: 4),
    Sizes(
      form: .plain, rows: 17, columns: 20, depth: 36, capacity: 3, live: 2, heads: 3, gap: 1,
      isPerSample: true, scale: 0.125),
    Sizes(
      form: .rightTurned, rows: 21, columns: 21, depth: 12, capacity: 2, live: 2, heads: 2,
      isPerSample: true, scale: 0.5),
    Sizes(form: .rightTurned, rows: 65, columns: 33, depth: 17, gap: 3, hasRow: true),
    Sizes(
      form: .leftTurned, rows: 12, columns: 20, depth: 21, capacity: 2, live: 1, heads: 2, gap: 4,
      isPerSample: true, scale: 2),
    Sizes(form: .leftTurned, rows: 9, columns: 70, depth: 40, capacity: 4, live: 3, hasRow: true),
    Sizes(form: .leftTurned, rows: 8, columns: 8, depth: 19, capacity: 4, live: 4, gap: 2),
  ]

  @Test(arguments: sizes, [true, false])
  func ourKernelsMultiply(_ sizes: Sizes, specializes: Bool) throws {
    try check(sizes, library: false, specializes: specializes)
  }

  @Test(
    .enabled(if: !KernelSource.leavesOutCLBlast),
    arguments: sizes.filter { !$0.isPerSample && $0.heads == 1 })
  func theLibraryMultiplies(_ sizes: Sizes) throws {
    try check(sizes, library: true, specializes: false)
  }

  @Test(arguments: [(1, 1), (600, 40), (1_000, 33)])
  func columnsAddUp(rows: Int, columns: Int) throws {
    let bench = try Bench(
      ["x": rows * columns, "sums": columns], capacity: 1, library: false, specializes: false)
    let x = (0..<rows * columns).map { Float($0 % 13) - 4 }
    try bench.write(x, to: "x")
    let commands = try bench.lowering.columnSums(
      of: Matrix(memory: bench.tensor("x"), stride: columns), rows: .live(times: rows),
      columns: columns, into: bench.tensor("sums"))
    try bench.run(commands, live: 1)
    let sums = try bench.read("sums")
    for j in 0..<columns {
      #expect(sums[j] == stride(from: j, to: x.count, by: columns).reduce(0) { $0 + x[$1] })
    }
  }

  // MARK: One product

  /// Samples that are not live hold NaN, and so does the result before.
  private func check(_ sizes: Sizes, library: Bool, specializes: Bool) throws {
    let bench = try Bench(
      [
        "a": sizes.count(sizes.a), "b": sizes.count(sizes.b), "c": sizes.count(sizes.c),
        "row": sizes.columns,
      ], capacity: sizes.capacity, library: library, specializes: specializes)
    let depthIsLive = sizes.form == .leftTurned && !sizes.isPerSample
    let a = values(sizes.count(sizes.a), live: sizes, shape: sizes.a, salt: 1)
    // The right factor of a product that is not one per sample is the same for all samples, unless
    // it is the depth that grows with them.
    let rightIsLive = sizes.isPerSample || depthIsLive
    let b = values(
      sizes.count(sizes.b), live: rightIsLive ? sizes : nil, shape: sizes.b, salt: 2)
    let row = values(sizes.columns, live: nil, shape: (1, sizes.columns), salt: 3)
    let empty = [Float](repeating: .nan, count: sizes.count(sizes.c))
    for (name, content) in [("a", a), ("b", b), ("c", empty), ("row", row)] {
      try bench.write(content, to: name)
    }
    let sums = sizes.hasRow && sizes.form == .leftTurned
    let rowsAreLive = !sizes.isPerSample && !depthIsLive
    var product = MatrixProduct(
      form: sizes.form, rows: rowsAreLive ? .live(times: sizes.rows) : .fixed(sizes.rows),
      columns: sizes.columns,
      depth: depthIsLive ? .live(times: sizes.depth) : .fixed(sizes.depth),
      a: try matrix(bench, "a", sizes, sizes.a), b: try matrix(bench, "b", sizes, sizes.b),
      c: try matrix(bench, "c", sizes, sizes.c), scale: sizes.scale)
    product.isPerSample = sizes.isPerSample
    product.heads = sizes.heads
    product.bias = sizes.hasRow && !sums ? try bench.tensor("row") : nil
    product.columnSums = sums ? try bench.tensor("row") : nil
    try bench.run(try bench.lowering.product(product), live: sizes.live)

    let found = try bench.read("c")
    var expected = empty.map { Double($0) }
    let groups = sizes.isPerSample ? sizes.live : 1
    let (rows, depth) = (
      rowsAreLive ? sizes.live * sizes.rows : sizes.rows,
      depthIsLive ? sizes.live * sizes.depth : sizes.depth
    )
    for (sample, head) in (0..<groups).flatMap({ s in (0..<sizes.heads).map { (s, $0) } }) {
      func place(_ shape: (Int, Int), _ r: Int, _ k: Int) -> Int {
        (sample * shape.0 + r) * sizes.stride(shape) + head * shape.1 + k
      }
      for r in 0..<rows {
        for n in 0..<sizes.columns {
          var sum = 0.0
          for k in 0..<depth {
            let left = sizes.form == .leftTurned ? place(sizes.a, k, r) : place(sizes.a, r, k)
            let right = sizes.form == .rightTurned ? place(sizes.b, n, k) : place(sizes.b, k, n)
            sum += Double(a[left]) * Double(b[right])
          }
          expected[place(sizes.c, r, n)] =
            Double(sizes.scale) * sum + (product.bias == nil ? 0 : Double(row[n]))
        }
      }
    }
    for i in found.indices {
      let isRight =
        expected[i].isNaN ? found[i].isNaN : abs(Double(found[i]) - expected[i]) <= 1e-4
      #expect(isRight, "element \(i): \(found[i]), expected \(expected[i])")
      if !isRight { return }
    }
    guard sums else { return }
    let columnSums = try bench.read("row")
    for n in 0..<sizes.columns {
      let sum = (0..<depth).reduce(0.0) { $0 + Double(b[$1 * sizes.stride(sizes.b) + n]) }
      #expect(abs(Double(columnSums[n]) - sum) <= 1e-4)
    }
  }

  private func matrix(
    _ bench: Bench, _ name: String, _ sizes: Sizes, _ shape: (Int, Int)
  ) throws -> Matrix {
    let stride = sizes.stride(shape)
    return Matrix(
      memory: try bench.tensor(name), stride: stride,
      sampleStride: sizes.isPerSample ? shape.0 * stride : 0, headStride: shape.1)
  }

  /// - Parameter live: where the tensor has a slot a sample: those beyond the live ones are NaN.
  private func values(
    _ count: Int, live sizes: Sizes?, shape: (Int, Int), salt: Int
  ) -> [Float] {
    let limit = sizes.map { $0.live * shape.0 * $0.stride(shape) } ?? count
    return (0..<count).map {
      $0 < limit ? Float(($0 * 37 + salt * 11) % 29 - 14) / 16 : .nan
    }
  }
}

/// A lowering over a few plain tensors.
private struct Bench {
  let plan: Plan
  let memory: DeviceMemory
  let arenas: Arenas
  let scratch = SharedScratch()
  let lowering: Lowering

  init(
    _ counts: [String: Int], capacity: Int, library: Bool, specializes: Bool
  ) throws {
    let device = try OpenCLDevice(
      try #require(TestDevice.all.first),
      options: OpenCLDevice.Options(usesCLBlast: library, specializes: specializes))
    let names = counts.keys.sorted()
    let tensors = names.map {
      TensorSpec(name: $0, shape: [counts[$0] ?? 1], hasBatchAxis: false, role: .activation)
    }
    let all = tensors.indices.map { TensorID(index: $0) }
    let program = Program(
      id: .predict, capacity: capacity, operations: [], inputs: all, outputs: all)
    plan = Plan(name: "products", tensors: tensors, programs: [program])
    let options = LoadOptions(programs: [.predict], keepsActivations: true)
    memory = try DeviceMemory(context: device.context)
    arenas = try Arenas(
      layout: try ArenaLayout(plan: plan, programs: [.predict], reusesActivations: false),
      context: device.context)
    lowering = Lowering(
      plan: plan, program: program, options: options, device: device, arenas: arenas,
      table: ProgramTable(), scratch: scratch)
  }

  private func id(_ name: String) throws -> TensorID {
    TensorID(index: try #require(plan.tensors.firstIndex { $0.name == name }))
  }

  func tensor(_ name: String) throws -> KernelArgument { try lowering.tensor(try id(name)) }

  func write(_ values: [Float], to name: String) throws {
    let place = try lowering.place(of: try id(name))
    try memory.write(values, to: place.buffer, offset: place.offset * 4)
  }

  func read(_ name: String) throws -> [Float] {
    let id = try id(name)
    let place = try lowering.place(of: id)
    var values = [Float](repeating: 0, count: plan[id].elementCount)
    try memory.read(place.buffer, offset: place.offset * 4, into: &values, count: values.count)
    return values
  }

  func run(_ commands: [Command], live: Int) throws {
    try scratch.allocate(context: memory.context)
    for command in commands {
      switch command {
      case .kernel(let call):
        try call.enqueue(on: memory.queue, step: 0, live: live, empties: true)
        try call.enqueue(on: memory.queue, step: 0, live: live)
      case .library(let call): try call.enqueue(memory.queue, live, nil)
      }
    }
    try memory.finish()
  }
}
