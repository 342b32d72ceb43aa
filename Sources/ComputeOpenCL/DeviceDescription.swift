import COpenCL
import Compute

/// An OpenCL device as its driver describes it. Holds the driver's handles, which are good for the
/// life of the process; nothing is opened.
public struct OpenCLDeviceDescription: @unchecked Sendable {
  let platform: cl_platform_id
  let device: cl_device_id
  public let name: String
  public let platformName: String
  public let driver: String
  /// Bits of `CL_DEVICE_TYPE_*`: a device can be of several types.
  public let type: cl_device_type
  /// Bytes.
  public let memory: Int
  /// Most bytes of one buffer.
  public let maximumAllocation: Int
  /// Bytes of local memory of a work-group.
  public let localMemory: Int
  /// Most work-items of a work-group.
  public let maximumWorkGroup: Int
  public let extensions: Set<String>

  public var isGPU: Bool { type & semg_CL_DEVICE_TYPE_GPU != 0 }
  public var isCPU: Bool { type & semg_CL_DEVICE_TYPE_CPU != 0 }

  /// Whether the platform keeps compiled programs on disk by itself, as NVIDIA's and PoCL do.
  public var cachesPrograms: Bool {
    ["NVIDIA CUDA", "Portable Computing Language"].contains(platformName)
  }

  init(platform: cl_platform_id, device: cl_device_id) throws(DeviceError) {
    self.platform = platform
    self.device = device
    name = try Self.text(device, cl_device_info(CL_DEVICE_NAME))
    driver = try Self.text(device, cl_device_info(CL_DRIVER_VERSION))
    platformName = try Self.platformText(platform, cl_platform_info(CL_PLATFORM_NAME))
    type = try Self.value(device, cl_device_info(CL_DEVICE_TYPE), cl_device_type(0))
    memory = Int(try Self.value(device, cl_device_info(CL_DEVICE_GLOBAL_MEM_SIZE), cl_ulong(0)))
    maximumAllocation = Int(
      try Self.value(device, cl_device_info(CL_DEVICE_MAX_MEM_ALLOC_SIZE), cl_ulong(0)))
    localMemory = Int(
      try Self.value(device, cl_device_info(CL_DEVICE_LOCAL_MEM_SIZE), cl_ulong(0)))
    maximumWorkGroup = try Self.value(
      device, cl_device_info(CL_DEVICE_MAX_WORK_GROUP_SIZE), Int(0))
    extensions = Set(
      try Self.text(device, cl_device_info(CL_DEVICE_EXTENSIONS)).split(separator: " ")
        .map(String.init))
  }

  /// Every device of every platform, in the loader's order.
  ///
  /// - Throws: `DeviceError` where a driver answers a question with a failure; no platform or no
  ///   device is an empty list.
  public static func all() throws(DeviceError) -> [OpenCLDeviceDescription] {
    var count: cl_uint = 0
    guard clGetPlatformIDs(0, nil, &count) == CL_SUCCESS, count > 0 else { return [] }
    var platforms: [cl_platform_id?] = Array(repeating: nil, count: Int(count))
    try check(clGetPlatformIDs(count, &platforms, nil), "clGetPlatformIDs", on: "OpenCL")
    var result: [OpenCLDeviceDescription] = []
    for case let platform? in platforms {
      var count: cl_uint = 0
      guard clGetDeviceIDs(platform, semg_CL_DEVICE_TYPE_ALL, 0, nil, &count) == CL_SUCCESS,
        count > 0
      else { continue }
      var devices: [cl_device_id?] = Array(repeating: nil, count: Int(count))
      try check(
        clGetDeviceIDs(platform, semg_CL_DEVICE_TYPE_ALL, count, &devices, nil), "clGetDeviceIDs",
        on: "OpenCL")
      for case let device? in devices {
        result.append(try OpenCLDeviceDescription(platform: platform, device: device))
      }
    }
    return result
  }

  // MARK: Questions

  static func value<Value>(
    _ device: cl_device_id, _ question: cl_device_info, _ initial: Value
  ) throws(DeviceError) -> Value {
    var value = initial
    let status = withUnsafeMutableBytes(of: &value) {
      clGetDeviceInfo(device, question, $0.count, $0.baseAddress, nil)
    }
    try check(status, "clGetDeviceInfo", on: "OpenCL")
    return value
  }

  static func text(
    _ device: cl_device_id, _ question: cl_device_info
  ) throws(DeviceError) -> String {
    try text(call: "clGetDeviceInfo") { clGetDeviceInfo(device, question, $0, $1, $2) }
  }

  static func platformText(
    _ platform: cl_platform_id, _ question: cl_platform_info
  ) throws(DeviceError) -> String {
    try text(call: "clGetPlatformInfo") { clGetPlatformInfo(platform, question, $0, $1, $2) }
  }

  private static func text(
    call: String,
    _ ask: (Int, UnsafeMutableRawPointer?, UnsafeMutablePointer<Int>?) -> cl_int
  ) throws(DeviceError) -> String {
    var size = 0
    try check(ask(0, nil, &size), call, on: "OpenCL")
    var bytes = [UInt8](repeating: 0, count: max(size, 1))
    let status = bytes.withUnsafeMutableBytes { ask(size, $0.baseAddress, nil) }
    try check(status, call, on: "OpenCL")
    return String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
  }
}
