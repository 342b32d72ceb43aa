import ComputeOpenCL

/// What a process is asked that talks to OpenCL's drivers in our place: a line of JSON each.
enum DriverRequest: Codable {
  /// Finds every device, as the program itself is about to.
  case survey
  case selfCheck(DeviceKey, OpenCLDevice.Arithmetic)
  case tensorCores(DeviceKey)
  /// Loads a driver by the name that the loader tries. Asked of a process that has loaded none.
  case load(library: String)

  /// The first argument of that process.
  static let command = "__opencl-drivers"
}

/// Which device is meant, so that two processes that find devices in another order notice.
struct DeviceKey: Codable, Equatable {
  let index: Int
  let name: String
  let platform: String
  let driver: String

  init(_ device: OpenCLDeviceDescription) {
    (index, name) = (device.index, device.name)
    (platform, driver) = (device.platformName, device.driver)
  }
}

/// The answer, a line of JSON. What was not asked for is nil.
struct DriverAnswer: Codable {
  /// Why the device is not to be used, a sentence.
  var refusal: String?
  /// In half precision, or where it was asked for.
  var tensorCores: TensorCoreVerdict?
  /// What the self-check built.
  var builds: ProgramBuilds?
}
