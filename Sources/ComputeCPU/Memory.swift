import Compute

/// Memory of a loaded plan: arenas and private caches, aligned to cache lines, freed with it.
final class MemoryPool {
  private var blocks: [UnsafeMutableRawPointer] = []
  private(set) var byteCount = 0
  let device: String

  init(device: String) { self.device = device }

  deinit { for block in blocks { block.deallocate() } }

  /// Zeroed bytes; at least one, so that empty arenas have an address.
  func bytes(_ count: Int) -> UnsafeMutableRawPointer {
    let size = max(count, 64)
    let block = UnsafeMutableRawPointer.allocate(byteCount: size, alignment: 128)
    block.initializeMemory(as: UInt8.self, repeating: 0, count: size)
    blocks.append(block)
    byteCount += size
    return block
  }

  func array<Element>(_ type: Element.Type, count: Int) -> UnsafeMutablePointer<Element> {
    bytes(count * MemoryLayout<Element>.stride)
      .bindMemory(to: type, capacity: max(count, 1))
  }
}

/// One scratch area that launches share, since they run one after another. It grows while a plan is
/// loaded; its address is read when a launch runs.
final class SharedScratch {
  private(set) var byteCount = 0
  private(set) var base: UnsafeMutableRawPointer

  init() { base = .allocate(byteCount: 64, alignment: 128) }

  deinit { base.deallocate() }

  func reserve(bytes: Int) {
    guard bytes > byteCount else { return }
    base.deallocate()
    base = .allocate(byteCount: bytes, alignment: 128)
    base.initializeMemory(as: UInt8.self, repeating: 0, count: bytes)
    byteCount = bytes
  }

  /// Reserves room for a value of each run.
  func reserve<Element>(_ type: Element.Type, count: Int) {
    reserve(bytes: count * MemoryLayout<Element>.stride)
  }

  var floats: UnsafeMutablePointer<Float> { base.assumingMemoryBound(to: Float.self) }
  var doubles: UnsafeMutablePointer<Double> { base.assumingMemoryBound(to: Double.self) }
}

/// A role's arenas: one block a segment.
struct Arenas {
  let layout: ArenaLayout
  private var segments: [TensorSpec.Role: [UnsafeMutableRawPointer]] = [:]
  let pool: MemoryPool

  init(layout: ArenaLayout, pool: MemoryPool) {
    self.layout = layout
    self.pool = pool
    for (role, sizes) in layout.segments {
      segments[role] = sizes.map { pool.bytes($0) }
    }
  }

  /// Address of a tensor; nil where the loaded programs do not use it.
  func address(_ id: TensorID) -> UnsafeMutableRawPointer? {
    guard let placement = layout[id], let blocks = segments[placement.role] else { return nil }
    return blocks[placement.segment] + placement.offset
  }

  /// Blocks and sizes of the arenas that outlive a step, in a fixed order.
  var lasting: [(base: UnsafeMutableRawPointer, byteCount: Int)] {
    var result: [(base: UnsafeMutableRawPointer, byteCount: Int)] = []
    for role in TensorSpec.Role.allCases where role.isLasting {
      for (base, size) in zip(segments[role] ?? [], layout.segments[role] ?? []) {
        result.append((base, size))
      }
    }
    return result
  }
}
