import Compute
import Synchronization

/// Work items of a group that the kernels of each file may have: as many as the device allows, and,
/// once a kernel of the file has been built that may have fewer, as many as that one. A driver tells
/// only of a kernel that is built, so whoever finds one too large notes it, and starts again.
final class GroupLimits: Sendable {
  /// The largest groups that kernels are written for.
  static let most = 256

  /// Files whose kernels give a sample to a group: a large device has room for more items than a
  /// batch has samples with groups of the usual size.
  private static let fewGroups: Set<String> = ["squeeze_block"]
  /// The size of their groups there.
  private static let large = 512

  private let device: Int
  private let hasRoom = Mutex(false)
  private let files = Mutex<[String: Int]>([:])

  /// - Parameter device: the most work items of a group that the device allows any kernel.
  init(device: Int) { self.device = device }

  /// - Parameter file: of `Kernels/`, without its ending.
  func limit(of file: String) -> Int { files.withLock { $0[file] } ?? device }

  /// Kernels that make few groups may have larger ones: on devices with many multiprocessors, and
  /// with local memory for builds that are for all shapes.
  func allowLargeGroups() { hasRoom.withLock { $0 = true } }

  /// GROUP_ITEMS of a build: 256, 128 or 64, or 512 where a kernel makes few groups. Kernels are not
  /// written for fewer.
  func items(of file: String) -> Int {
    let limit = limit(of: file)
    let isLarge = Self.fewGroups.contains(file) && hasRoom.withLock { $0 }
    return ((isLarge ? [Self.large] : []) + [Self.most, 128]).first { $0 <= limit } ?? 64
  }

  /// What builds of a file are given where its groups are not of the usual size.
  func defines(of file: String) -> [String: Int] {
    let items = items(of: file)
    return items == Self.most ? [:] : ["GROUP_ITEMS": items]
  }

  /// A kernel of a file may have no more items a group than this.
  func note(_ limit: Int, of file: String) {
    files.withLock { $0[file] = min($0[file] ?? device, limit) }
  }

  /// Does it again where limits that were not known before were the reason that it failed.
  func learning<Result>(
    _ body: () throws(DeviceError) -> Result
  ) throws(DeviceError) -> Result {
    while true {
      let known = files.withLock { $0 }
      do throws(DeviceError) {
        return try body()
      } catch {
        if files.withLock({ $0 }) == known { throw error }
      }
    }
  }
}
