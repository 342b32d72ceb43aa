import ComputeCPU
import TestSupport
import Testing

/// Each operation, forward and backward, against Keras 3 in float64.
@Suite struct KerasOperationTests {
  @Test(arguments: KerasOperation.all, [true, false])
  func theCPUComputesWhatKerasDoes(operation: KerasOperation, fuses: Bool) throws {
    let differences = try operation.differences(
      on: CPUDevice(threads: 2), fuses: fuses, tolerance: .single)
    #expect(differences.isEmpty, "\(differences)")
  }
}
