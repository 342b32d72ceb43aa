import COpenCL
import Compute

/// An OpenCL device as its driver describes it. Holds the driver's handles, which are good for the
/// life of the process; nothing is opened.
///
/// `@unchecked Sendable`: the handles are process-wide and never released, all else is values.
public struct OpenCLDeviceDescription: @unchecked Sendable {
  /// What a device is used as, the best first. A device can be of several types: the first counts.
  public enum Kind: Int, Sendable, Comparable {
    case gpu, accelerator, cpu, other

    public static func < (a: Kind, b: Kind) -> Bool { a.rawValue < b.rawValue }
  }

  let platform: cl_platform_id
  let device: cl_device_id
  /// Its place among all OpenCL devices, in the loader's order: the N of `gpu:N`.
  public let index: Int
  public let name: String
  public let vendor: String
  public let platformName: String
  public let platformVersion: String
  public let driver: String
  /// Bits of `CL_DEVICE_TYPE_*`: a device can be of several types.
  public let type: cl_device_type
  /// "OpenCL 1.2 …" and "OpenCL C 1.2 …".
  public let version: String
  public let languageVersion: String
  /// Bytes.
  public let memory: Int
  /// Whether that memory is the host's.
  public let sharesHostMemory: Bool
  /// Most bytes of one buffer.
  public let maximumAllocation: Int
  /// Bytes of local memory of a work-group.
  public let localMemory: Int
  /// Most work-items of a work-group.
  public let maximumWorkGroup: Int
  public let computeUnits: Int
  public let clockMegahertz: Int
  /// Bytes that a part of a buffer is aligned to where it is used as a buffer.
  public let baseAddressAlignment: Int
  /// Whether it divides and takes roots in single precision without error where it is asked to.
  let roundsDivisions: Bool
  public let extensions: Set<String>
  public let hasSubGroups: Bool
  /// CUDA's compute capability, on NVIDIA's devices alone.
  public let computeCapability: (major: Int, minor: Int)?
  /// Why it cannot run kernels at all, or nil.
  public let fault: String?

  public var isGPU: Bool { type & semg_CL_DEVICE_TYPE_GPU != 0 }
  public var isCPU: Bool { type & semg_CL_DEVICE_TYPE_CPU != 0 }
  public var kind: Kind {
    if isGPU { return .gpu }
    if type & semg_CL_DEVICE_TYPE_ACCELERATOR != 0 { return .accelerator }
    return isCPU ? .cpu : .other
  }
  /// Arithmetic in half precision; storing halves is everybody's.
  public var hasFP16: Bool { extensions.contains("cl_khr_fp16") }
  /// Whether the platform keeps built programs on disk by itself: ours would be a second copy.
  public var cachesPrograms: Bool {
    platformName.hasPrefix("NVIDIA") || platformName.hasPrefix("Portable Computing Language")
  }

  /// - Throws: `DeviceError` where the driver leaves a question unanswered that OpenCL 1.2 asks.
  init(index: Int, platform: cl_platform_id, device: cl_device_id) throws(DeviceError) {
    let ask = DeviceQuestions(device: device)
    self.index = index
    self.platform = platform
    self.device = device
    name = try ask.text(CL_DEVICE_NAME)
    vendor = try ask.text(CL_DEVICE_VENDOR)
    driver = try ask.text(CL_DRIVER_VERSION)
    platformName = try ask.text(of: platform, CL_PLATFORM_NAME)
    platformVersion = try ask.text(of: platform, CL_PLATFORM_VERSION)
    version = try ask.text(CL_DEVICE_VERSION)
    languageVersion = try ask.text(CL_DEVICE_OPENCL_C_VERSION)
    type = try ask.value(CL_DEVICE_TYPE, cl_device_type(0))
    memory = Int(clamping: try ask.value(CL_DEVICE_GLOBAL_MEM_SIZE, cl_ulong(0)))
    sharesHostMemory = try ask.value(CL_DEVICE_HOST_UNIFIED_MEMORY, cl_bool(0)) != 0
    maximumAllocation = Int(clamping: try ask.value(CL_DEVICE_MAX_MEM_ALLOC_SIZE, cl_ulong(0)))
    localMemory = Int(clamping: try ask.value(CL_DEVICE_LOCAL_MEM_SIZE, cl_ulong(0)))
    maximumWorkGroup = try ask.value(CL_DEVICE_MAX_WORK_GROUP_SIZE, Int(0))
    computeUnits = Int(try ask.value(CL_DEVICE_MAX_COMPUTE_UNITS, cl_uint(0)))
    clockMegahertz = Int(try ask.value(CL_DEVICE_MAX_CLOCK_FREQUENCY, cl_uint(0)))
    baseAddressAlignment = Int(try ask.value(CL_DEVICE_MEM_BASE_ADDR_ALIGN, cl_uint(0))) / 8
    let single = try ask.value(CL_DEVICE_SINGLE_FP_CONFIG, cl_device_fp_config(0))
    roundsDivisions = single & cl_device_fp_config(CL_FP_CORRECTLY_ROUNDED_DIVIDE_SQRT) != 0
    let extensions = Set(
      try ask.text(CL_DEVICE_EXTENSIONS).split(separator: " ").map(String.init))
    self.extensions = extensions
    hasSubGroups =
      !extensions.isDisjoint(with: ["cl_khr_subgroups", "cl_intel_subgroups"])
      || ((try? ask.value(DeviceQuestions.maximumSubGroups, cl_uint(0))) ?? 0) > 0
    computeCapability = Self.computeCapability(ask, extensions)
    fault = try Self.fault(ask, version: version)
  }

  /// Every device of every platform, in the loader's order; what is wrong with the others is in
  /// `OpenCLSurvey`.
  ///
  /// - Throws: `DeviceError` where the loader fails; no platform or no device is an empty list.
  public static func all() throws(DeviceError) -> [OpenCLDeviceDescription] {
    let survey = OpenCLSurvey()
    if let failure = survey.failure { throw failure }
    return survey.devices
  }

  private static func computeCapability(
    _ ask: DeviceQuestions, _ extensions: Set<String>
  ) -> (major: Int, minor: Int)? {
    guard extensions.contains("cl_nv_device_attribute_query"),
      let major = try? ask.value(DeviceQuestions.computeCapabilityMajor, cl_uint(0)),
      let minor = try? ask.value(DeviceQuestions.computeCapabilityMinor, cl_uint(0))
    else { return nil }
    return (Int(major), Int(minor))
  }

  private static func fault(
    _ ask: DeviceQuestions, version: String
  ) throws(DeviceError) -> String? {
    if try ask.value(CL_DEVICE_AVAILABLE, cl_bool(0)) == 0 {
      return "its driver says that it is not available"
    }
    if try ask.value(CL_DEVICE_COMPILER_AVAILABLE, cl_bool(0)) == 0 {
      return "its driver has no compiler"
    }
    if try ask.value(CL_DEVICE_ENDIAN_LITTLE, cl_bool(0)) == 0 {
      return "it is big-endian"
    }
    if ["OpenCL 1.0", "OpenCL 1.1"].contains(where: version.hasPrefix) {
      return "it offers \(version), and 1.2 is needed"
    }
    return nil
  }
}

extension OpenCLDeviceDescription {
  /// How good a choice a device is, by what its driver says: the least is the best. Kind first; of
  /// one kind those with memory of their own, then the larger memory, then more arithmetic, then
  /// the loader's order.
  struct Standing: Comparable {
    var kind: Kind
    var sharesHostMemory: Bool
    var memory: Int
    var computeUnits: Int
    var clockMegahertz: Int
    var index: Int

    static func < (a: Standing, b: Standing) -> Bool { a.key.lexicographicallyPrecedes(b.key) }

    private var key: [Int] {
      [
        kind.rawValue, sharesHostMemory ? 1 : 0, -memory, -computeUnits * max(1, clockMegahertz),
        index,
      ]
    }
  }

  var standing: Standing {
    Standing(
      kind: kind, sharesHostMemory: sharesHostMemory, memory: memory, computeUnits: computeUnits,
      clockMegahertz: clockMegahertz, index: index)
  }

  /// Devices that can run kernels, the best first.
  public static func ranked(_ devices: [OpenCLDeviceDescription]) -> [OpenCLDeviceDescription] {
    devices.filter { $0.fault == nil }.sorted { $0.standing < $1.standing }
  }
}

/// Asks a driver about a device, every status checked.
struct DeviceQuestions {
  let device: cl_device_id

  /// Of OpenCL 2.1 and of NVIDIA's extension: newer than the headers that we compile against.
  static let maximumSubGroups: Int32 = 0x105C
  static let computeCapabilityMajor: Int32 = 0x4000
  static let computeCapabilityMinor: Int32 = 0x4001

  func value<Value>(_ question: Int32, _ initial: Value) throws(DeviceError) -> Value {
    var value = initial
    let status = withUnsafeMutableBytes(of: &value) {
      clGetDeviceInfo(device, cl_device_info(question), $0.count, $0.baseAddress, nil)
    }
    try check(status, "clGetDeviceInfo", on: "OpenCL")
    return value
  }

  func text(_ question: Int32) throws(DeviceError) -> String {
    try Self.text(call: "clGetDeviceInfo") {
      clGetDeviceInfo(device, cl_device_info(question), $0, $1, $2)
    }
  }

  func text(of platform: cl_platform_id, _ question: Int32) throws(DeviceError) -> String {
    try Self.platformText(platform, question)
  }

  static func platformText(
    _ platform: cl_platform_id, _ question: Int32
  ) throws(DeviceError) -> String {
    try text(call: "clGetPlatformInfo") {
      clGetPlatformInfo(platform, cl_platform_info(question), $0, $1, $2)
    }
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
    let text = String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
    // Drivers pad names with spaces.
    return text.split(separator: " ").joined(separator: " ")
  }
}
