import ComputeOpenCL

extension LoneKernel: DeviceCheck {
  var name: String {
    switch self {
    case .copy: "peaks, copies"
    case .multiplyAdd: "peaks, multiply-adds"
    case .fillRows: "rows of a bias"
    case .columnSums: "column sums, two stages"
    }
  }

  func verdict(on device: OpenCLDevice) -> String {
    verdictLine(name) { try problem(on: device) }
  }
}
