import Testing

@testable import ComputeOpenCL

@Suite struct StatusNameTests {
  @Test func codesOfBothLibrariesHaveNames() {
    #expect(StatusName.of(-54) == "CL_INVALID_WORK_GROUP_SIZE")
    #expect(StatusName.of(-2045) == "CLBlastNoHalfPrecision")
    #expect(StatusName.of(-9_999) == "status -9999")
  }
}
