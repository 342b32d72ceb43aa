import Compute
import ComputeOpenCL
import Parity

/// An OpenCL device opened and checked, twice over: what a start costs where the kernels may have to
/// be built, and where they have just been.
struct DeviceTrial {
  /// Of opening the device and checking it.
  private(set) var startSeconds: Double?
  /// The same at once again, with nothing kept in memory.
  private(set) var warmStartSeconds: Double?
  /// Why the device is not to be used; nil where it passes.
  private(set) var fault: String?
  /// In half precision: why each path is not to be used; nil where it passes.
  private(set) var halfFaults: [(path: OpenCLDevice.HalfPath, fault: String?)] = []

  init(_ description: OpenCLDeviceDescription) {
    if let fault = description.fault {
      self.fault = "\(description.title) cannot be used: \(fault)"
      return
    }
    let clock = ContinuousClock()
    do throws(DeviceError) {
      var start = clock.now
      let report = SelfCheckReport(try OpenCLDevice(description))
      startSeconds = start.duration(to: clock.now) / .seconds(1)
      fault = report.refusal(of: description)
      guard fault == nil else { return }
      start = clock.now
      _ = SelfCheckReport(try OpenCLDevice(description))
      warmStartSeconds = start.duration(to: clock.now) / .seconds(1)
    } catch {
      fault = "\(error)"
      return
    }
    for path in OpenCLDevice.halfPaths(of: description) {
      do throws(DeviceError) {
        let device = try OpenCLDevice(
          description, arithmetic: OpenCLDevice.Arithmetic(.fp16, path))
        halfFaults.append((path, SelfCheckReport(device).refusal(of: description)))
      } catch {
        halfFaults.append((path, "\(error)"))
      }
    }
  }
}
