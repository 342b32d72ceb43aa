import Compute
import Foundation

/// Memory of this process for what is large. Swift's own allocation ends the program where there is
/// no room; this one says so.
enum HostMemory {
  /// Zeroed bytes, aligned to two cache lines.
  ///
  /// - Throws: `DeviceError.outOfMemory`.
  static func allocate(
    _ byteCount: Int, device: String
  ) throws(DeviceError) -> UnsafeMutableRawPointer {
    var block: UnsafeMutableRawPointer?
    guard byteCount >= 0, posix_memalign(&block, 128, byteCount) == 0, let block else {
      throw .outOfMemory(device: device, bytes: byteCount, advice: advice)
    }
    memset(block, 0, byteCount)
    return block
  }

  static func free(_ block: UnsafeMutableRawPointer) { Foundation.free(block) }

  static let advice = "use a smaller --batch-size"
}

/// Memory of a loaded plan: arenas and private caches, aligned to cache lines, freed with it.
final class MemoryPool {
  private var blocks: [UnsafeMutableRawPointer] = []
  private(set) var byteCount = 0
  let device: String

  init(device: String) { self.device = device }

  deinit { blocks.forEach(HostMemory.free) }

  /// Zeroed bytes; at least one, so that empty arenas have an address.
  ///
  /// - Throws: `DeviceError.outOfMemory`.
  func bytes(_ count: Int) throws(DeviceError) -> UnsafeMutableRawPointer {
    let size = max(count, 64)
    let block = try HostMemory.allocate(size, device: device)
    blocks.append(block)
    byteCount += size
    return block
  }

  /// - Throws: `DeviceError.outOfMemory`.
  func array<Element>(
    _ type: Element.Type, count: Int
  ) throws(DeviceError) -> UnsafeMutablePointer<Element> {
    try bytes(count * MemoryLayout<Element>.stride)
      .bindMemory(to: type, capacity: max(count, 1))
  }
}

/// One scratch area that launches share, since they run one after another. It grows while a plan is
/// loaded; its address is read when a launch runs.
final class SharedScratch {
  private(set) var byteCount = 0
  private(set) var base: UnsafeMutableRawPointer
  private let device: String

  /// - Throws: `DeviceError.outOfMemory`.
  init(device: String) throws(DeviceError) {
    self.device = device
    base = try HostMemory.allocate(64, device: device)
  }

  deinit { HostMemory.free(base) }

  /// - Throws: `DeviceError.outOfMemory`; what was reserved before stays.
  func reserve(bytes: Int) throws(DeviceError) {
    guard bytes > byteCount else { return }
    let larger = try HostMemory.allocate(bytes, device: device)
    HostMemory.free(base)
    base = larger
    byteCount = bytes
  }

  /// Reserves room for a value of each run.
  func reserve<Element>(_ type: Element.Type, count: Int) throws(DeviceError) {
    try reserve(bytes: count * MemoryLayout<Element>.stride)
  }

  var floats: UnsafeMutablePointer<Float> { base.assumingMemoryBound(to: Float.self) }
  var doubles: UnsafeMutablePointer<Double> { base.assumingMemoryBound(to: Double.self) }
}

/// A role's arenas: one block a segment.
struct Arenas {
  let layout: ArenaLayout
  private var segments: [TensorSpec.Role: [UnsafeMutableRawPointer]] = [:]
  let pool: MemoryPool

  init(layout: ArenaLayout, pool: MemoryPool) throws(DeviceError) {
    self.layout = layout
    self.pool = pool
    for (role, sizes) in layout.segments {
      for size in sizes { segments[role, default: []].append(try pool.bytes(size)) }
    }
  }

  /// Address of a tensor; nil where the loaded programs do not use it.
  func address(_ id: TensorID) -> UnsafeMutableRawPointer? {
    guard let placement = layout[id], let blocks = segments[placement.role] else { return nil }
    return blocks[placement.segment] + placement.offset
  }
}
