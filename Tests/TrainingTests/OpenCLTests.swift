import Compute
import ComputeOpenCL
import Foundation
import Testing

private let allDevices = (try? OpenCLDeviceDescription.all()) ?? []

/// What trains on an OpenCL device, one after another: PoCL 3.1 now and then dies of an assertion of
/// its own where several contexts work at once.
@Suite(
  .serialized,
  .enabled(
    if: !allDevices.isEmpty || ProcessInfo.processInfo.environment["CI"] == "true",
    "no OpenCL device on this machine"))
enum OpenCLTests {
  static let devices = allDevices

  /// The first device; in half precision where that is asked for.
  static func open(_ precision: Precision, lossScale: Float = 65_536) throws
    -> OpenCLDevice
  {
    try OpenCLDevice(
      try #require(devices.first, "no OpenCL device: install pocl-opencl-icd"),
      options: OpenCLDevice.Options(
        usesCLBlast: false, specializes: false, precision: precision, lossScale: lossScale))
  }
}
