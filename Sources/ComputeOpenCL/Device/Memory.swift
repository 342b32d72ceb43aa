import COpenCL
import Compute

/// A buffer that is released with its last user.
final class Buffer {
  let handle: cl_mem
  let byteCount: Int

  /// - Throws: `DeviceError.outOfMemory` with advice where the device has no room.
  init(byteCount: Int, context: OpenCLContext) throws(DeviceError) {
    // Empty tensors have an address, too.
    self.byteCount = max(byteCount, 16)
    var status: cl_int = 0
    let created = clCreateBuffer(
      context.handle, semg_CL_MEM_READ_WRITE, self.byteCount, nil, &status)
    if status.isShortOfMemory || status == CL_INVALID_BUFFER_SIZE {
      throw .outOfMemory(
        device: context.name, bytes: byteCount,
        advice: "clCreateBuffer failed with \(StatusName.of(status)); use a smaller --batch-size")
    }
    try check(status, "clCreateBuffer", on: context.name)
    guard let created else {
      throw .callFailed(device: context.name, call: "clCreateBuffer", code: "no buffer")
    }
    handle = created
  }

  /// A buffer that holds these values from the start.
  init<Element: BitwiseCopyable>(
    copying values: [Element], context: OpenCLContext
  ) throws(DeviceError) {
    byteCount = values.count * MemoryLayout<Element>.stride
    var status: cl_int = 0
    var copy = values
    let created = copy.withUnsafeMutableBytes {
      clCreateBuffer(
        context.handle, semg_CL_MEM_COPY_HOST_PTR, $0.count, $0.baseAddress, &status)
    }
    try check(status, "clCreateBuffer", on: context.name)
    guard let created else {
      throw .callFailed(device: context.name, call: "clCreateBuffer", code: "no buffer")
    }
    handle = created
  }

  deinit { clReleaseMemObject(handle) }
}

/// A place for a buffer that can be exchanged between runs: tables, datasets, scratch. Launches bind
/// the place and take over the new buffer when they next run.
final class BufferSlot {
  var buffer: Buffer?
}

/// The arenas of a plan: a buffer a segment of each role.
struct Arenas {
  let layout: ArenaLayout
  private let segments: [TensorSpec.Role: [Buffer]]

  init(layout: ArenaLayout, context: OpenCLContext) throws(DeviceError) {
    self.layout = layout
    var segments: [TensorSpec.Role: [Buffer]] = [:]
    for role in TensorSpec.Role.allCases {
      for size in layout.segments[role] ?? [] {
        segments[role, default: []].append(try Buffer(byteCount: size, context: context))
      }
    }
    self.segments = segments
  }

  /// The buffer of a tensor and its offset in bytes; nil where no loaded program uses it.
  func place(of id: TensorID) -> (buffer: Buffer, offset: Int)? {
    guard let placement = layout[id], let buffers = segments[placement.role] else { return nil }
    return (buffers[placement.segment], placement.offset)
  }

  var all: [Buffer] { TensorSpec.Role.allCases.flatMap { segments[$0] ?? [] } }
}

/// One scratch buffer that launches share, since they run one after another; made when all of a
/// plan's launches have said how much they need.
final class SharedScratch {
  let slot = BufferSlot()
  /// What CLBlast's products work in: it takes a whole buffer, none of which a launch may use
  /// besides.
  let library = BufferSlot()
  let weightCopies = WeightCopies()
  /// What a launch leaves for a later one of the same program.
  let kept = BufferSlot()
  private var keptByteCount = 0
  private var sharedByteCount = 0
  private var libraryByteCount = 0

  var byteCount: Int {
    sharedByteCount + libraryByteCount + keptByteCount + weightCopies.byteCount
  }

  /// Room for `count` floats, or halves, that no other launch writes.
  func keep(floats count: Int, isHalf: Bool = false) -> KernelArgument {
    let size = isHalf ? 2 : 4
    defer { keptByteCount += (count * size + 127) / 128 * 128 }
    keptCounts[keptByteCount] = count * size
    return .region(kept, offset: keptByteCount / size, isHalf: isHalf)
  }

  func reserve(bytes: Int) { sharedByteCount = max(sharedByteCount, bytes) }

  /// Bytes of the region of a buffer that was last taken at a place, in bytes; 0 where none begins.
  func count(of slot: BufferSlot, at offset: Int) -> Int {
    (slot === kept ? keptCounts[offset] : slot === self.slot ? counts[offset] : nil) ?? 0
  }
  fileprivate var counts: [Int: Int] = [:]
  private var keptCounts: [Int: Int] = [:]
  func reserveForLibrary(bytes: Int) { libraryByteCount = max(libraryByteCount, bytes) }

  /// Makes the buffers.
  func allocate(context: OpenCLContext) throws(DeviceError) {
    slot.buffer = try Buffer(byteCount: sharedByteCount, context: context)
    try weightCopies.allocate(context: context)
    if keptByteCount > 0 { kept.buffer = try Buffer(byteCount: keptByteCount, context: context) }
    guard libraryByteCount > 0 else { return }
    library.buffer = try Buffer(byteCount: libraryByteCount, context: context)
  }
}

/// Regions of the shared scratch that one launch uses at the same time.
struct ScratchRegions {
  private let scratch: SharedScratch
  private var end = 0

  init(_ scratch: SharedScratch) { self.scratch = scratch }

  /// Room for `count` floats, or halves.
  ///
  /// - Parameter isKept: as the launch leaves it, for a later one of the same program.
  mutating func floats(
    _ count: Int, isHalf: Bool = false, isKept: Bool = false
  ) -> KernelArgument {
    if isKept { return scratch.keep(floats: count, isHalf: isHalf) }
    let start = end
    let size = isHalf ? 2 : 4
    end += (count * size + 127) / 128 * 128
    scratch.reserve(bytes: end)
    scratch.counts[start] = count * size
    return .region(scratch.slot, offset: start / size, isHalf: isHalf)
  }
}
