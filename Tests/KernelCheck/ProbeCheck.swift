import ComputeOpenCL

/// The kernel that finds out whether a device has tensor cores, on emulated ones: it is to say yes.
enum ProbeCheck: DeviceCheck {
  case copiesEarly, copiesLate

  var name: String {
    "tensor core probe, copies \(self == .copiesEarly ? "early" : "late")"
  }

  func verdict(on device: OpenCLDevice) -> String {
    verdictLine(name) {
      TensorCores.probe(
        device.description, emulation: self == .copiesEarly ? .copiesEarly : .copiesLate
      ).reason
    }
  }
}
