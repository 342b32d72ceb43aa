import ComputeReference
import TestSupport
import Testing

/// Each operation, forward and backward, against Keras 3 in float64.
@Suite struct KerasOperationTests {
  @Test(arguments: KerasOperation.all)
  func theReferenceComputesWhatKerasDoes(operation: KerasOperation) throws {
    let differences = try operation.differences(on: ReferenceDevice(), tolerance: .double)
    #expect(differences.isEmpty, "\(differences)")
  }
}
