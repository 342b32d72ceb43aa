import Foundation

/// The memory of this machine, in bytes.
enum MachineMemory {
  static let byteCount = Int(clamping: ProcessInfo.processInfo.physicalMemory)
}
