import Compute

/// Sums in a second stage, in a fixed order: `column_sums.cl`.
extension Lowering {
  private var sumGroup: [Int] { ColumnSums.group(device.context.groupLimits) }

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
      ], local: sumGroup,
      groups: { _ in [(columns + ColumnSums.across - 1) / ColumnSums.across, 1] })
  }

  /// Adds the parts of several products, by one kernel for each buffer that they go to. Where those
  /// are the last gradients of a step whose loss is scaled, all gradients are searched for overflows.
  func partSums(_ sums: PartSums) throws(DeviceError) -> [Command] {
    var sums = sums
    if let scaler, isLast, beginsScaledSteps, options.programs.contains(.update) {
      for id in plan.tensors(role: .gradient) {
        sums.search(try place(of: id), count: plan[id].elementCount)
      }
      scaler.isSearchedBySteps = true
    }
    return try sums.targets.map { (target) throws(DeviceError) in
      let groups = target.groupCount
      return try kernel(
        "column_sums", "column_sums_of_table",
        scaling(scaler) + [
          .region(scratch.slot, offset: 0), .tensor(target.buffer, offset: 0),
          try constants(target.entries), .int(target.entries.count / PartSums.fields), .live,
        ], local: sumGroup, groups: { _ in [groups, 1] })
    }
  }

  /// Whether a launch before says that a step has begun: the one that makes the loss.
  private var beginsScaledSteps: Bool {
    program.id == .forwardBackward
      && program.operations.contains {
        if case .softmaxCrossEntropy(let op) = $0 { op.logitsGradient != nil } else { false }
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
        ], local: sumGroup,
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
  /// Work items of a group: across, and down.
  static func group(_ limits: GroupLimits) -> [Int] {
    [across, limits.items(of: "column_sums") / across]
  }
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

  /// SEARCHED of `column_sums.cl`.
  private static let searched = 4096

  struct Target {
    let buffer: Buffer
    fileprivate(set) var entries: [Int32] = []
    fileprivate(set) var groupCount = 0
    /// Where what is written begins.
    fileprivate var written: Set<Int> = []
    /// Where the last entry ends if it is of gradients that are there already.
    fileprivate var searchedEnd: Int?
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
    for result in [place, rest] { targets[index(of: result.buffer)].written.insert(result.offset) }
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

  /// Gradients that were made before, unless they are among the sums: in ascending order.
  mutating func search(_ place: (buffer: Buffer, offset: Int), count: Int) {
    let index = index(of: place.buffer)
    guard !targets[index].written.contains(place.offset) else { return }
    let columns = 3  // of an entry, behind its place
    if targets[index].searchedEnd == place.offset {
      let last = targets[index].entries.count - Self.fields
      let size = Int(targets[index].entries[last + 1 + columns])
      targets[index].entries[last + 1 + columns] = Int32(size + count)
      targets[index].groupCount =
        Int(targets[index].entries[last]) + Self.groups(searching: size + count)
    } else {
      targets[index].entries += [targets[index].groupCount, 0, place.offset, 0, count, 0, 0, 1, 0]
        .map { Int32($0) }
      targets[index].groupCount += Self.groups(searching: count)
    }
    targets[index].searchedEnd = place.offset + count
  }

  private static func groups(searching count: Int) -> Int { (count + searched - 1) / searched }

  private mutating func index(of buffer: Buffer) -> Int {
    if let known = targets.firstIndex(where: { $0.buffer === buffer }) { return known }
    targets.append(Target(buffer: buffer))
    return targets.count - 1
  }

  private mutating func add(to buffer: Buffer, columns: Int, _ values: [Int]) {
    let index = index(of: buffer)
    targets[index].entries += ([targets[index].groupCount] + values).map { Int32($0) }
    targets[index].groupCount += (columns + ColumnSums.across - 1) / ColumnSums.across
  }
}
