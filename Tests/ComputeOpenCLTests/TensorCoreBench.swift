import COpenCL
import Compute
import Testing

@testable import ComputeOpenCL

/// A product of matrices for the tensor-core kernels: rows of heads side by side, samples below one
/// another.
struct TensorCoreProduct: CustomStringConvertible {
  var form: MatrixProduct.Form
  var rows: Int
  var columns: Int
  var depth: Int
  var scale: Float = 1
  /// A bias, or column sums where the left factor is turned.
  var bias = false
  /// The result's type; sums over steps are floats.
  var halves = true

  var description: String {
    "\(form) \(rows)×\(columns)×\(depth)"
  }

  var part: ProductPart {
    switch form {
    case .plain: .forward
    case .rightTurned: .backwardInput
    case .leftTurned: .backwardKernel
    }
  }

  var hasHalfResult: Bool { halves && form != .leftTurned }

  /// Rows and columns as the factors lie in memory.
  var a: (rows: Int, columns: Int) { form == .leftTurned ? (depth, rows) : (rows, depth) }
  var b: (rows: Int, columns: Int) { form == .rightTurned ? (columns, depth) : (depth, columns) }

  func place(_ matrix: (rows: Int, columns: Int), _ row: Int, _ column: Int) -> Int {
    row * matrix.columns + column
  }
}

/// Runs tensor-core kernels on tensors with NaN around them.
struct TensorCoreBench {
  let context: OpenCLContext
  let memory: DeviceMemory

  /// One context, so that each kernel is built once.
  private static let opened: Result<OpenCLContext, any Error> = Result {
    try OpenCLContext(try #require(TestDevice.all.first), cache: nil)
  }

  init() throws {
    context = try Self.opened.get()
    memory = try DeviceMemory(context: context)
  }

  /// The kernels of `tensor_core_conv1d.cl`.
  static let convolutions: [ProductPart: String] = [
    .forward: "conv1d_forward", .backwardInput: "conv1d_backward_input",
    .backwardKernel: "conv1d_backward_weights",
  ]

  /// Bytes of local memory of a group, by the driver.
  func localBytes(of kernel: cl_kernel) throws -> Int {
    var bytes = cl_ulong(0)
    let status = clGetKernelWorkGroupInfo(
      kernel, context.description.device, cl_kernel_work_group_info(CL_KERNEL_LOCAL_MEM_SIZE),
      MemoryLayout<cl_ulong>.size, &bytes, nil)
    try #require(status == CL_SUCCESS)
    return Int(bytes)
  }

  /// A tensor on the device, behind `front` elements of NaN and before 64.
  struct Placed<Element: BinaryFloatingPoint> {
    static var front: Int { 8 }
    var buffer: Buffer
    var count: Int

    var argument: KernelArgument { .tensor(buffer, offset: Self.front) }
  }

  func place<Element: BinaryFloatingPoint>(_ values: [Element]) throws -> Placed<Element> {
    let around = [Element](repeating: .nan, count: 64)
    let all = around.prefix(Placed<Element>.front) + values + around
    let buffer = try Buffer(byteCount: all.count * MemoryLayout<Element>.stride, context: context)
    try memory.write(Array(all), to: buffer, offset: 0)
    return Placed(buffer: buffer, count: values.count)
  }

  func read<Element: BinaryFloatingPoint>(_ tensor: Placed<Element>) throws -> [Double] {
    let front = Placed<Element>.front
    var all = [Element](repeating: 0, count: front + tensor.count + 64)
    try memory.read(tensor.buffer, offset: 0, into: &all, count: all.count)
    let around = all.prefix(front) + all.suffix(64)
    #expect(around.allSatisfy { $0.isNaN })
    return all[front..<front + tensor.count].map { Double($0) }
  }

  /// Sixteenths between -1 and 1; NaN from `live` on.
  func values(_ count: Int, salt: Int, live: Int? = nil) -> [Float16] {
    (0..<count).map { i in
      i < live ?? count ? Float16((i &* 7_919 &+ salt &* 104_729) % 33 - 16) / 16 : .nan
    }
  }

  func run(
    _ file: String, _ name: String, _ build: TensorCoreTests.Build, _ defines: [String: Int],
    _ arguments: [KernelArgument], groups: [Int], live: Int
  ) throws {
    let local = [build.tile.items, 1, 1]
    let call = try KernelCall(
      kernel: try context.makeKernel(
        file: file, name: name, defines: defines.merging(build.emulation.defines) { $1 }),
      file: file, name: name, arguments: arguments, local: local, groups: { _ in groups },
      context: context)
    try call.enqueue(on: memory.queue, step: 0, live: live)
    try memory.finish()
  }

  /// Halves are within their rounding, floats within that of sums of exact products.
  func expect(
    _ found: ArraySlice<Double>, _ expected: [Double], halves: Bool, _ what: String
  ) {
    let error = zip(found, expected).reduce(0) { $0 + ($1.0 - $1.1) * ($1.0 - $1.1) }
    let size = expected.reduce(0) { $0 + $1 * $1 }
    let bound = halves ? 4.9e-4 : 1e-6
    #expect(
      found.count == expected.count && error <= bound * bound * size,
      "\(what): error \((error / size).squareRoot()) of the norm")
  }

  // MARK: Convolutions

  func check(
    _ convolution: TensorCoreTests.Convolution, _ part: ProductPart,
    _ build: TensorCoreTests.Build, span: Int? = nil, isUnbiased: Bool = false, adds: Bool = false,
    leavesStatistics: Bool = false
  ) throws {
    let shape = convolution.shape
    let rows = convolution.live * shape.time
    let all = convolution.capacity * shape.time
    let (inputs, outputs) = (shape.inputChannels, shape.outputChannels)
    let x = values(all * inputs, salt: 1, live: rows * inputs)
    let dy = values(all * outputs, salt: 2, live: rows * outputs)
    let w = values(shape.taps * inputs * outputs, salt: 3)
    var defines = build.tile.defines(
      part: part, writesChunks: true, leavesStatistics: leavesStatistics)
    if build.specializes {
      defines.merge([
        "TIME": shape.time, "INPUTS": inputs, "OUTPUTS": outputs, "TAPS": shape.taps,
        "DILATION": shape.dilation, "LEFT": shape.leftPadding,
      ]) { $1 }
    }
    let sizes: [KernelArgument] = [
      .int(rows), .int(shape.time), .int(inputs), .int(outputs), .int(shape.taps),
      .int(shape.dilation), .int(shape.leftPadding),
    ]
    let label = "\(shape) \(part), \(build)"
    let name = try #require(Self.convolutions[part])
    let tile = build.tile
    switch part {
    case .forward:
      let bias = (0..<outputs).map { Float($0 % 5) / 4 - 0.5 }
      let y = try place([Float16](repeating: .nan, count: all * outputs))
      let statistics = try place(
        [Float](repeating: .nan, count: leavesStatistics ? 2 * outputs * tile.rowCount(rows) : 0))
      try run(
        "tensor_core_conv1d", name, build, defines,
        [
          try place(x).argument, try place(w).argument, try place(bias).argument, y.argument,
        ] + sizes + (leavesStatistics ? [statistics.argument] : []),
        groups: [tile.rowCount(rows), tile.columnCount(outputs), 1], live: convolution.live)
      var expected = (0..<rows * outputs).map { Double(bias[$0 % outputs]) }
      forEachTap(shape, convolution.live) { tap, to, from in
        for c in 0..<inputs {
          for o in 0..<outputs {
            expected[to * outputs + o] +=
              Double(x[from * inputs + c]) * Double(w[(tap * inputs + c) * outputs + o])
          }
        }
      }
      try expectLive(y, expected, label)
      guard leavesStatistics else { return }
      let deviations = expected.enumerated().map { $1 - Double(bias[$0 % outputs]) }
      expect(
        try read(statistics)[...],
        stride(from: 0, to: deviations.count, by: tile.rows * outputs).flatMap {
          columnStatistics(deviations[$0...].prefix(tile.rows * outputs), columns: outputs)
        }, halves: false, "\(label), statistics")
    case .backwardInput:
      let before =
        adds
        ? values(all * inputs, salt: 4, live: rows * inputs)
        : [Float16](repeating: .nan, count: all * inputs)
      let dx = try place(before)
      try run(
        "tensor_core_conv1d", name, build, defines,
        [
          try place(dy).argument, try place(w).argument, dx.argument, .int(adds ? 1 : 0),
          dx.argument,
        ] + sizes, groups: [tile.rowCount(rows), tile.columnCount(inputs), 1],
        live: convolution.live)
      var expected = (0..<rows * inputs).map { adds ? Double(before[$0]) : 0 }
      forEachTap(shape, convolution.live) { tap, to, from in
        for c in 0..<inputs {
          for o in 0..<outputs {
            expected[from * inputs + c] +=
              Double(dy[to * outputs + o]) * Double(w[(tap * inputs + c) * outputs + o])
          }
        }
      }
      try expectLive(dx, expected, label)
    case .backwardKernel:
      let count = shape.taps * inputs * outputs
      let span =
        span ?? (rows + TensorCoreTile.depth - 1) / TensorCoreTile.depth
        * TensorCoreTile.depth
      let parts = (rows + span - 1) / span
      let sums = try place([Float](repeating: .nan, count: parts * (count + outputs)))
      let groups = tile.rowCount(shape.taps * inputs) * tile.columnCount(outputs) * parts
      // One entry: of its first group, places in the arguments' tensors, and sizes.
      let table = [
        0, 0, 0, 0, isUnbiased ? 1 : 0, shape.time, inputs, outputs, shape.taps, shape.dilation,
        shape.leftPadding,
      ]
      let tableSlot = BufferSlot()
      tableSlot.buffer = try Buffer(copying: table.map { Int32($0) }, context: context)
      try run(
        "tensor_core_conv1d", name, build, defines,
        [
          try place(x).argument, try place(dy).argument, sums.argument, .slot(tableSlot), .int(1),
          .int(span), .live,
        ], groups: [groups, 1, 1], live: convolution.live)
      var expected = [Double](repeating: 0, count: count + outputs)
      forEachTap(shape, convolution.live) { tap, to, from in
        for c in 0..<inputs {
          for o in 0..<outputs {
            expected[(tap * inputs + c) * outputs + o] +=
              Double(x[from * inputs + c]) * Double(dy[to * outputs + o])
          }
        }
      }
      for i in 0..<(isUnbiased ? 0 : rows * outputs) {
        expected[count + i % outputs] += Double(dy[i])
      }
      let found = try read(sums)
      let added = (0..<count + outputs).map { i in
        stride(from: i, to: found.count, by: count + outputs).reduce(0) { $0 + found[$1] }
      }
      expect(added[..<count], Array(expected[..<count]), halves: false, label)
      expect(added[count...], Array(expected[count...]), halves: false, "\(label), bias")
    }
  }

  /// Means of the columns of some rows, and behind them the squares about the means.
  private func columnStatistics(_ rows: ArraySlice<Double>, columns: Int) -> [Double] {
    let values = (0..<columns).map { column in
      stride(from: rows.startIndex + column, to: rows.endIndex, by: columns).map { rows[$0] }
    }
    let means = values.map { $0.reduce(0, +) / Double($0.count) }
    return means
      + zip(values, means).map { column, mean in
        column.reduce(0) { $0 + ($1 - mean) * ($1 - mean) }
      }
  }

  /// Calls with each tap and the rows that it leads to and comes from.
  private func forEachTap(
    _ shape: Conv1DShape, _ live: Int, _ body: (_ tap: Int, _ to: Int, _ from: Int) -> Void
  ) {
    for (sample, t) in (0..<live).flatMap({ s in (0..<shape.time).map { (s, $0) } }) {
      for tap in 0..<shape.taps {
        let seen = t + tap * shape.dilation - shape.leftPadding
        guard (0..<shape.time).contains(seen) else { continue }
        body(tap, sample * shape.time + t, sample * shape.time + seen)
      }
    }
  }

  /// What is not live is as it was.
  private func expectLive(
    _ tensor: Placed<Float16>, _ expected: [Double], _ label: String
  ) throws {
    let found = try read(tensor)
    expect(found[..<expected.count], expected, halves: true, label)
    #expect(found[expected.count...].allSatisfy { $0.isNaN }, "\(label): samples that are not live")
  }

  // MARK: Plain products

  func check(_ product: TensorCoreProduct, _ build: TensorCoreTests.Build) throws {
    let (rows, columns, depth) = (product.rows, product.columns, product.depth)
    let a = values(product.a.rows * product.a.columns, salt: 1)
    let b = values(product.b.rows * product.b.columns, salt: 2)
    let row = (0..<columns).map { Float($0 % 5) / 4 - 0.5 }
    let size = rows * columns
    let c = try place([Float](repeating: .nan, count: product.hasHalfResult ? 0 : size))
    let halves = try place([Float16](repeating: .nan, count: product.hasHalfResult ? size : 0))
    let rowOnDevice = try place(row)
    let tail: [KernelArgument] = [
      .float(product.scale), .int(rows), .int(columns), .int(depth),
    ]
    let names: [ProductPart: String] = [
      .forward: "matrix_product", .backwardInput: "matrix_product_turned",
      .backwardKernel: "matrix_columns_product",
    ]
    try run(
      "tensor_core_dense", try #require(names[product.part]), build,
      build.tile.defines(
        part: product.part, writesChunks: false, hasHalfResult: product.hasHalfResult),
      [
        try place(a).argument, .int(product.a.columns), try place(b).argument,
        .int(product.b.columns), rowOnDevice.argument, .int(product.bias ? 1 : 0),
        product.hasHalfResult ? halves.argument : c.argument, .int(columns),
      ] + tail
        + (product.form == .leftTurned ? [.int((depth + 31) / 32 * 32), .int(0)] : []),
      groups: [build.tile.rowCount(rows), build.tile.columnCount(columns), 1], live: 1)

    var expected = [Double](repeating: 0, count: size)
    var sums = [Double](repeating: 0, count: columns)
    for n in 0..<columns {
      for k in 0..<depth {
        let right =
          product.form == .rightTurned
          ? product.place(product.b, n, k) : product.place(product.b, k, n)
        sums[n] += Double(b[right])
        for r in 0..<rows {
          let left =
            product.form == .leftTurned
            ? product.place(product.a, k, r) : product.place(product.a, r, k)
          expected[product.place((rows, columns), r, n)] +=
            Double(product.scale) * Double(a[left]) * Double(b[right])
        }
      }
      guard product.bias, product.form != .leftTurned else { continue }
      for r in 0..<rows { expected[product.place((rows, columns), r, n)] += Double(row[n]) }
    }
    let found = try product.hasHalfResult ? read(halves) : read(c)
    expect(found[...], expected, halves: product.hasHalfResult, "\(product)")
    guard product.bias, product.form == .leftTurned else { return }
    expect(try read(rowOnDevice)[...], sums, halves: false, "\(product), sums")
  }
}
