import COpenCL
import Compute

/// Weights as halves, for kernels that read them so, in a buffer of their own. Adam writes those of
/// the weights that it updates; all are made anew when weights were written by anybody else.
final class WeightCopies {
  struct Copy {
    /// Where the weights lie, in elements.
    var source: Buffer
    var first: Int
    /// Where their halves begin.
    var target: Int
    var count: Int
  }

  /// Elements that a work-group copies at most.
  private static let span = 2_048
  /// Copies begin at multiples of this many halves.
  private static let alignment = 64
  /// `NO_COPY` of `adam.cl`.
  private static let noCopy = Int32.min

  let slot = BufferSlot()
  private(set) var copies: [TensorID: Copy] = [:]
  private var count = 0
  private var programs: Set<ProgramID> = []
  private var calls: [KernelCall] = []
  private var isStale = true

  var byteCount: Int { 2 * count }

  /// Where the halves of a tensor of floats will be.
  ///
  /// - Parameters:
  ///   - program: one that reads them.
  ///   - place: of the floats, in elements.
  func halves(
    of tensor: TensorID, for program: ProgramID, at place: (buffer: Buffer, offset: Int),
    count: Int
  ) -> KernelArgument {
    programs.insert(program)
    let known = copies[tensor]
    let copy =
      known ?? Copy(source: place.buffer, first: place.offset, target: self.count, count: count)
    if known == nil {
      copies[tensor] = copy
      self.count += (count + Self.alignment - 1) / Self.alignment * Self.alignment
    }
    return .region(slot, offset: copy.target, isHalf: true)
  }

  /// What Adam needs to know to write the copies of a run of weights, see `adam.cl`; nil where none
  /// of them has one. All programs that read copies have said so before.
  ///
  /// - Parameters:
  ///   - place: of the run, in elements.
  ///   - group: weights that a work-group updates.
  func table(
    ofRunAt place: (buffer: Buffer, offset: Int), count: Int, group: Int
  ) -> [Int32]? {
    let within = copies.values.filter {
      $0.source === place.buffer && $0.first >= place.offset
        && $0.first + $0.count <= place.offset + count
    }.sorted { $0.first < $1.first }
    guard !within.isEmpty else { return nil }
    var pieces: [(end: Int, shift: Int32)] = []
    for copy in within {
      let start = copy.first - place.offset
      if start > pieces.last?.end ?? 0 { pieces.append((start, Self.noCopy)) }
      pieces.append((start + copy.count, Int32(copy.target - start)))
    }
    if let last = pieces.last, last.end < count { pieces.append((count, Self.noCopy)) }
    var table: [Int32] = []
    var piece = 0
    for start in stride(from: 0, to: count, by: group) {
      while pieces[piece].end <= start { piece += 1 }
      table.append(Int32(piece))
    }
    return table + pieces.flatMap { [Int32($0.end), $0.shift] }
  }

  /// Makes the buffer, when all programs have said what they read.
  func allocate(context: OpenCLContext) throws(DeviceError) {
    guard !copies.isEmpty else { return }
    slot.buffer = try Buffer(byteCount: byteCount, context: context)
    let memory = try DeviceMemory(context: context)
    let all = copies.values.sorted { $0.target < $1.target }
    var sources: [Buffer] = []
    for copy in all where !sources.contains(where: { $0 === copy.source }) {
      sources.append(copy.source)
    }
    for source in sources {
      var entries: [Int32] = []
      for copy in all where copy.source === source {
        for start in stride(from: 0, to: copy.count, by: Self.span) {
          let size = min(Self.span, copy.count - start)
          entries += [Int32(copy.first + start), Int32(copy.target + start), Int32(size)]
        }
      }
      let table = BufferSlot()
      try memory.replace(table, with: entries)
      let groups = entries.count / 3
      let file = "weight_copies"
      calls.append(
        try KernelCall(
          kernel: try context.makeKernel(
            file: file, name: "copy_weights", defines: context.groupLimits.defines(of: file)),
          file: file, name: "copy_weights",
          arguments: [.tensor(source, offset: 0), .region(slot, offset: 0), .slot(table)],
          local: [context.groupLimits.items(of: file)], groups: { _ in [groups] }, context: context)
      )
    }
  }

  /// Weights have been written, and not by Adam.
  func invalidate() { isStale = true }

  /// Puts the copying before what a program enqueues, if it reads copies that are not of the
  /// weights as they are.
  func refresh(for program: ProgramID, on queue: cl_command_queue) throws(DeviceError) {
    guard isStale, programs.contains(program) else { return }
    for call in calls { try call.enqueue(on: queue, step: 0, live: 1) }
    isStale = false
  }
}
