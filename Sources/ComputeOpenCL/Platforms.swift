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

/// The loader's list of drivers, for people who miss a device: files `*.icd`, each with the name of
/// a library.
public struct OpenCLDriverList: Sendable {
  /// Where the loader looks: a directory, or one driver that `OCL_ICD_VENDORS` names.
  public let place: String
  /// A driver that the loader was told of.
  public struct Entry: Sendable {
    /// The file that names it, or the library itself.
    public let source: String
    public let library: String
    /// Why it does not load, or nil.
    public let fault: String?
  }
  public let entries: [Entry]

  /// Whether the loader may have a driver to load, found out without loading any.
  public static var listsAny: Bool {
    let environment = ProcessInfo.processInfo.environment
    return !sources(at: place(environment)).isEmpty || environment["OCL_ICD_FILENAMES"] != nil
  }

  private static func place(_ environment: [String: String]) -> String {
    let given = ["OCL_ICD_VENDORS", "OPENCL_VENDOR_PATH"].lazy
      .compactMap { environment[$0] }.first { !$0.isEmpty }
    return given ?? "/etc/OpenCL/vendors"
  }

  /// Reads the list and tries to load each driver. After `OpenCLSurvey`, which has loaded those
  /// that load.
  public init(environment: [String: String] = ProcessInfo.processInfo.environment) {
    place = Self.place(environment)
    entries = Self.sources(at: place).map { source in
      let library = Self.library(namedBy: source)
      return Entry(source: source, library: library, fault: Self.fault(of: library))
    }
  }

  /// NVIDIA's driver where containers carry it without the file that names it to the loader.
  public static var unlistedNVIDIADriver: String? {
    let name = "libnvidia-opencl.so.1"
    guard let handle = dlopen(name, RTLD_LAZY | RTLD_LOCAL) else { return nil }
    dlclose(handle)
    return name
  }

  private static func sources(at place: String) -> [String] {
    guard let names = try? FileManager.default.contentsOfDirectory(atPath: place) else {
      return FileManager.default.fileExists(atPath: place) ? [place] : []
    }
    return names.filter { $0.hasSuffix(".icd") }.sorted().map { "\(place)/\($0)" }
  }

  private static func library(namedBy source: String) -> String {
    guard source.hasSuffix(".icd") else { return source }
    let text = (try? String(contentsOfFile: source, encoding: .utf8)) ?? ""
    let line = text.split(whereSeparator: \.isNewline).first ?? ""
    return String(
      line.drop(while: \.isWhitespace).reversed().drop(while: \.isWhitespace).reversed())
  }

  private static func fault(of library: String) -> String? {
    guard !library.isEmpty else { return "the file names no library" }
    guard let handle = dlopen(library, RTLD_LAZY | RTLD_LOCAL) else {
      return dlerror().map { String(cString: $0) } ?? "it does not load"
    }
    dlclose(handle)
    return nil
  }
}
