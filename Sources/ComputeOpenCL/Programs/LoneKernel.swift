import COpenCL
import Compute

/// Kernels that no comparison of operations with the reference runs: those that measure a device's
/// peaks, and what stands beside a product of CLBlast, the rows of a bias and sums in two stages. Each
/// is run by itself, on small memory whose every value is known.
public enum LoneKernel: CaseIterable, Sendable {
  case copy, multiplyAdd, fillRows, columnSums

  /// What the kernel computed wrongly on a device; nil where nothing.
  ///
  /// - Throws: `DeviceError` where a call fails.
  public func problem(on device: OpenCLDevice) throws(DeviceError) -> String? {
    let context = device.context
    return try context.groupLimits.learning { () throws(DeviceError) in
      switch self {
      case .copy: try Self.copyProblem(context)
      case .multiplyAdd: try Self.multiplyAddProblem(context)
      case .fillRows: try Self.fillRowsProblem(context)
      case .columnSums: try Self.columnSumsProblem(context)
      }
    }
  }

  /// Of the values that nobody is to write.
  private static let untouched: Float = -1

  private static func copyProblem(_ context: OpenCLContext) throws(DeviceError) -> String? {
    let count = 300  // of four floats, in three turns of the items
    let source = (0..<4 * count + 16).map { Float($0) + 0.5 }
    let found = try run(
      "peaks", "peak_copy", reading: source, writing: source.count, local: [64], groups: [2],
      context: context
    ) { [.slot($0), .slot($1), .int(count)] }
    let expected = source.enumerated().map { $0 < 4 * count ? $1 : untouched }
    return gap(found, expected)
  }

  private static func multiplyAddProblem(_ context: OpenCLContext) throws(DeviceError) -> String? {
    let (items, groups, rounds, factor) = (32, 2, 3, Float(0.5))
    let found = try run(
      "peaks", "peak_multiply_add", reading: [0], writing: items * groups + 8, local: [items],
      groups: [groups], context: context
    ) { [.slot($1), .float(factor), .int(rounds)] }
    let sums = (0..<items * groups).map { place in
      (0..<8).reduce(Float(0)) { total, chain in
        var sum = Float(place % items + chain)
        for _ in 0..<rounds { sum = sum * factor + 1 }  // exact, so fused or not
        return total + 4 * sum
      }
    }
    return gap(found, sums + Array(repeating: untouched, count: 8))
  }

  private static func fillRowsProblem(_ context: OpenCLContext) throws(DeviceError) -> String? {
    let (rows, columns, stride, biasAt, resultAt) = (4, 5, 7, 2, 3)
    let bias = (0..<biasAt + columns + 8).map { Float($0) + 0.25 }
    let found = try run(
      "dense", "fill_rows", reading: bias, writing: resultAt + rows * stride + 8, local: [8],
      groups: [3], context: context
    ) {
      [
        .region($0, offset: biasAt), .region($1, offset: resultAt), .int(stride), .int(columns),
        .int(rows),
      ]
    }
    var expected = Array(repeating: untouched, count: found.count)
    for row in 0..<rows {
      for column in 0..<columns {
        expected[resultAt + row * stride + column] = bias[biasAt + column]
      }
    }
    return gap(found, expected)
  }

  /// Two group rows, of which the second ends early.
  private static func columnSumsProblem(_ context: OpenCLContext) throws(DeviceError) -> String? {
    let (count, per, span, stride, columns) = (41, 2, 13, 38, 35)
    let rows = (count + per - 1) / per
    // Small whole numbers, whose sums are exact; none where no row is to be read.
    let values = (0..<(rows + 8) * stride).map { place in
      place / stride < rows && place % stride < columns ? Float(place * 7 % 11 - 4) : .nan
    }
    let found = try run(
      "column_sums", "column_sums", reading: values, writing: 2 * columns + 8,
      local: ColumnSums.group(context.groupLimits), groups: [2, 2], context: context
    ) { input, output in
      [
        .region(input, offset: 0), .region(output, offset: 0), .region(output, offset: 0),
        .int(count), .int(per), .int(span), .int(stride), .int(columns), .int(columns),
      ]
    }
    let sums = [0..<span, span..<rows].flatMap { part in
      (0..<columns).map { column in
        part.reduce(Float(0)) { $0 + values[$1 * stride + column] }
      }
    }
    return gap(found, sums + Array(repeating: untouched, count: 8))
  }

  /// What a kernel leaves in a buffer of so many floats.
  private static func run(
    _ file: String, _ name: String, reading values: [Float], writing count: Int, local: [Int],
    groups: [Int], context: OpenCLContext, arguments: (BufferSlot, BufferSlot) -> [KernelArgument]
  ) throws(DeviceError) -> [Float] {
    let (source, target) = (BufferSlot(), BufferSlot())
    let memory = try DeviceMemory(context: context)
    let output = try Buffer(byteCount: 4 * count, context: context)
    let input = try Buffer(byteCount: 4 * values.count, context: context)
    (source.buffer, target.buffer) = (input, output)
    try memory.write(values, to: input, offset: 0)
    var found = Array(repeating: untouched, count: count)
    try memory.write(found, to: output, offset: 0)
    let call = try KernelCall(
      kernel: try context.makeKernel(
        file: file, name: name, defines: context.groupLimits.defines(of: file)), file: file,
      name: name, arguments: arguments(source, target), local: local, groups: { _ in groups },
      context: context)
    try call.enqueue(on: memory.queue, step: 0, live: 1)
    try memory.read(output, offset: 0, into: &found, count: count)
    return found
  }

  private static func gap(_ found: [Float], _ expected: [Float]) -> String? {
    guard let place = found.indices.first(where: { found[$0] != expected[$0] }) else { return nil }
    return "element \(place) is \(found[place]), expected \(expected[place])"
  }
}
