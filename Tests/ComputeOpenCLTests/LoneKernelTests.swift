import ComputeOpenCL
import Testing

/// Kernels that belong to no operation, and so to none of its cases.
@Suite(.needsOpenCL) struct LoneKernelTests {
  @Test(arguments: LoneKernel.allCases) func computesWhatItSays(_ kernel: LoneKernel) throws {
    #expect(try kernel.problem(on: TestDevice.open()) == nil)
  }
}
