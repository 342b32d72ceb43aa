import COpenCL
import Compute
import Foundation

/// What the OpenCL loader finds: platforms and devices, and what is wrong with those that it does
/// not. None at all, a platform without devices or a driver that does not load are no errors: most
/// machines have one of them.
public struct OpenCLSurvey: Sendable {
  public struct Platform: Sendable {
    public let name: String
    public let version: String
    public let deviceCount: Int
    /// Why it has no devices, or fewer than it said; nil where all is well.
    public let fault: String?
  }

  public let platforms: [Platform]
  /// In the loader's order.
  public let devices: [OpenCLDeviceDescription]
  /// The loader's own failure, beyond finding nothing.
  public let failure: DeviceError?

  /// Whether the drivers were asked at all: one that fails as it is asked had better not be.
  public let wasMade: Bool

  /// In place of one that no driver answers.
  public init(unmade failure: DeviceError) {
    (platforms, devices, self.failure, wasMade) = ([], [], failure, false)
  }

  /// Asks the loader and every driver that it loads.
  public init() {
    var platforms: [Platform] = []
    var devices: [OpenCLDeviceDescription] = []
    var failure: DeviceError?
    do throws(DeviceError) {
      for platform in try Self.platformHandles() {
        platforms.append(Self.platform(platform, adding: &devices))
      }
    } catch {
      failure = error
    }
    self.platforms = platforms
    self.devices = devices
    self.failure = failure
    wasMade = true
  }

  private static func platformHandles() throws(DeviceError) -> [cl_platform_id] {
    var count: cl_uint = 0
    let status = clGetPlatformIDs(0, nil, &count)
    // The loader's answer where no driver is installed, or none of them loads.
    guard status != Self.platformNotFound, count > 0 || status != CL_SUCCESS else { return [] }
    try check(status, "clGetPlatformIDs", on: "OpenCL")
    var handles: [cl_platform_id?] = Array(repeating: nil, count: Int(count))
    try check(clGetPlatformIDs(count, &handles, nil), "clGetPlatformIDs", on: "OpenCL")
    return handles.compactMap { $0 }
  }

  private static let platformNotFound: cl_int = -1001

  private static func platform(
    _ handle: cl_platform_id, adding devices: inout [OpenCLDeviceDescription]
  ) -> Platform {
    let name = (try? DeviceQuestions.platformText(handle, CL_PLATFORM_NAME)) ?? "unnamed platform"
    let version = (try? DeviceQuestions.platformText(handle, CL_PLATFORM_VERSION)) ?? ""
    let first = devices.count
    var fault: String?
    do throws(DeviceError) {
      for device in try deviceHandles(of: handle) {
        do throws(DeviceError) {
          devices.append(
            try OpenCLDeviceDescription(index: devices.count, platform: handle, device: device))
        } catch {
          fault = "a device of it does not describe itself: \(error)"
        }
      }
      if devices.count == first, fault == nil { fault = "it has no device" }
    } catch {
      fault = "\(error)"
    }
    return Platform(
      name: name, version: version, deviceCount: devices.count - first, fault: fault)
  }

  private static func deviceHandles(
    of platform: cl_platform_id
  ) throws(DeviceError) -> [cl_device_id] {
    var count: cl_uint = 0
    let status = clGetDeviceIDs(platform, semg_CL_DEVICE_TYPE_ALL, 0, nil, &count)
    guard status != CL_DEVICE_NOT_FOUND, count > 0 || status != CL_SUCCESS else { return [] }
    try check(status, "clGetDeviceIDs", on: "OpenCL")
    var handles: [cl_device_id?] = Array(repeating: nil, count: Int(count))
    try check(
      clGetDeviceIDs(platform, semg_CL_DEVICE_TYPE_ALL, count, &handles, nil), "clGetDeviceIDs",
      on: "OpenCL")
    return handles.compactMap { $0 }
  }
}
