import Compute
import ComputeCPU
import Foundation

/// Where the arithmetic is done: the options, checked against each other and this build.
struct DeviceSettings {
  let device: any Device
  let threads: Int
  /// Whether nobody asked for this device: then it is named in a line.
  let isChosenForUser: Bool

  /// - Throws: `CommandFailure` where the device is not there or cannot do the precision.
  init(_ options: DeviceOptions) throws {
    threads = options.threads ?? ProcessInfo.processInfo.activeProcessorCount
    if case .gpu = options.device {
      throw CommandFailure(
        .unavailable,
        "found no OpenCL device: this build of semg-train has no OpenCL backend yet. "
          + "Use --device cpu")
    }
    if options.precision == .fp16 {
      throw CommandFailure(
        .contradiction,
        "the CPU backend computes in fp32, --precision fp16 asks for another; "
          + "drop --precision or give --precision fp32")
    }
    isChosenForUser = options.device != .cpu
    device = CPUDevice(threads: threads)
  }

  /// Says which device `auto` took.
  func announce(on console: Console) {
    if isChosenForUser { console.note("device: \(device.name)") }
  }
}
