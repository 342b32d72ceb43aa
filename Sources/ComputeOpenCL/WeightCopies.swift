import COpenCL
import Compute

/// Weights as halves, for kernels that read them so, in a buffer of their own: made anew before the
/// launches of each run that reads them, since weights change in between.
final class WeightCopies {
  private struct Copy {
    var source: Buffer
    var first: Int
    var target: Int
    var count: Int
  }

  /// Elements that a work-group copies at most.
  private static let span = 2_048
  /// Copies begin at multiples of this many halves.
  private static let alignment = 64

  private let slot = BufferSlot()
  private var copies: [TensorID: Copy] = [:]
  private var count = 0
  private var programs: Set<ProgramID> = []
  private var calls: [KernelCall] = []

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
      calls.append(
        try KernelCall(
          kernel: try context.makeKernel(file: "weight_copies", name: "copy_weights", defines: [:]),
          name: "copy_weights",
          arguments: [.tensor(source, offset: 0), .region(slot, offset: 0), .slot(table)],
          local: [256], groups: { _ in [groups] }, context: context))
    }
  }

  /// Puts the copying before what a program enqueues, if it reads copies.
  func enqueue(for program: ProgramID, on queue: cl_command_queue) throws(DeviceError) {
    guard programs.contains(program) else { return }
    for call in calls { try call.enqueue(on: queue, step: 0, live: 1) }
  }
}
