import Compute

/// Sums in a second stage, in a fixed order: `column_sums.cl`.
extension Lowering {
  /// Adds the parts in their order.
  ///
  /// - Parameter count: of the depth that was cut into spans.
  func addParts(
    _ parts: SplitSums, into gradient: KernelArgument, sums: KernelArgument?,
    count: KernelArgument, span: Int
  ) throws(DeviceError) -> Command {
    let split = parts.rows * parts.columns
    let columns = sums == nil ? split : parts.size
    return try kernel(
      "column_sums", "column_sums",
      [
        parts.gradient, gradient, sums ?? gradient, count, .int(span), .int(parts.count),
        .int(parts.size), .int(columns), .int(split),
      ], local: [ColumnSums.across, ColumnSums.down],
      groups: { _ in [(columns + ColumnSums.across - 1) / ColumnSums.across, 1] })
  }

  /// Adds the parts of several products, by one kernel for each buffer that they go to.
  func partSums(_ sums: PartSums) throws(DeviceError) -> [Command] {
    try sums.targets.map { (target) throws(DeviceError) in
      let groups = target.groupCount
      return try kernel(
        "column_sums", "column_sums_of_table",
        [
          .region(scratch.slot, offset: 0), .tensor(target.buffer, offset: 0),
          try constants(target.entries), .int(target.entries.count / PartSums.fields), .live,
        ], local: [ColumnSums.across, ColumnSums.down], groups: { _ in [groups, 1] })
    }
  }

  /// Sums of the columns of one matrix, `[rows, columns]`, into `[columns]`; in two steps where the
  /// columns are long.
  func columnSums(
    of matrix: Matrix, rows: Extent, columns: Int, into sums: KernelArgument,
    regions: ScratchRegions? = nil
  ) throws(DeviceError) -> [Command] {
    let most = rows.value(live: program.capacity)
    let across = (columns + ColumnSums.across - 1) / ColumnSums.across
    func step(
      _ input: Matrix, _ output: KernelArgument, _ per: Int, _ span: Int
    ) throws(DeviceError) -> Command {
      try kernel(
        "column_sums", "column_sums",
        [
          input.memory, output, output, rows.argument, .int(per), .int(span),
          .int(input.stride), .int(columns), .int(columns),
        ], local: [ColumnSums.across, ColumnSums.down],
        groups: { live in
          let count = (rows.value(live: live) + per - 1) / per
          return [across, (count + span - 1) / span]
        })
    }
    let span = ColumnSums.span
    guard most > 2 * span else { return [try step(matrix, sums, 1, most)] }
    var regions = regions ?? ScratchRegions(scratch)
    let parts = (most + span - 1) / span
    let region = regions.floats(parts * columns)
    let partial = Matrix(memory: region, stride: columns)
    return [try step(matrix, region, 1, span), try step(partial, sums, span, parts)]
  }
}

/// Sizes of `column_sums.cl`.
enum ColumnSums {
  static let across = 32
  static let down = 8
  /// Rows of a group where there are many.
  static let span = 256
}

/// Where the parts of a product whose depth is cut leave their sums: beside one another in the
/// scratch, the column sums of each after its product, or at once in the result where it is not cut.
struct SplitSums {
  let gradient: KernelArgument
  let sums: KernelArgument
  let rows: Int
  let columns: Int
  let count: Int

  var isSplit: Bool { count > 1 }
  /// Elements of a part.
  var size: Int { (rows + 1) * columns }

  init(
    gradient: KernelArgument, sums: KernelArgument, rows: Int, columns: Int, parts: Int,
    regions: inout ScratchRegions
  ) {
    guard parts > 1 else {
      self.init(gradient, sums, rows, columns, parts)
      return
    }
    self.init(rows: rows, columns: columns, parts: parts, regions: &regions)
  }

  private init(
    _ gradient: KernelArgument, _ sums: KernelArgument, _ rows: Int, _ columns: Int, _ count: Int
  ) {
    (self.gradient, self.sums) = (gradient, sums)
    (self.rows, self.columns, self.count) = (rows, columns, count)
  }

  /// Even where there is but one part.
  init(rows: Int, columns: Int, parts: Int, regions: inout ScratchRegions) {
    let part = Matrix(memory: regions.floats(parts * (rows + 1) * columns), stride: columns)
    self.init(
      part.memory, part.advanced(by: rows * columns).memory, rows, columns, parts)
  }
}

/// Second stages that are put off until one kernel does them all.
struct PartSums {
  /// FIELDS of `column_sums.cl`.
  static let fields = 9

  struct Target {
    let buffer: Buffer
    fileprivate(set) var entries: [Int32] = []
    fileprivate(set) var groupCount = 0
  }

  private(set) var targets: [Target] = []

  /// - Parameters:
  ///   - parts: in the scratch.
  ///   - place: of the gradient, and `rest` of the sums beside it.
  ///   - time: steps a live sample, which were cut into spans.
  mutating func append(
    _ parts: SplitSums, into place: (buffer: Buffer, offset: Int),
    rest: (buffer: Buffer, offset: Int), time: Int, span: Int
  ) {
    guard case .region(_, let source, _) = parts.gradient else { return }
    let split = parts.rows * parts.columns
    if place.buffer === rest.buffer {
      add(
        to: place.buffer, columns: parts.size,
        [source, place.offset, rest.offset, parts.size, split, parts.size, span, time])
    } else {
      add(
        to: place.buffer, columns: split,
        [source, place.offset, 0, split, split, parts.size, span, time])
      add(
        to: rest.buffer, columns: parts.columns,
        [source + split, rest.offset, 0, parts.columns, parts.columns, parts.size, span, time])
    }
  }

  private mutating func add(to buffer: Buffer, columns: Int, _ values: [Int]) {
    let known = targets.firstIndex { $0.buffer === buffer }
    let index = known ?? targets.count
    if known == nil { targets.append(Target(buffer: buffer)) }
    targets[index].entries += ([targets[index].groupCount] + values).map { Int32($0) }
    targets[index].groupCount += (columns + ColumnSums.across - 1) / ColumnSums.across
  }
}
