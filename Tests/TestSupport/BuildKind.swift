import Foundation

/// Whether the tests are compiled with optimization.
public let isReleaseBuild: Bool = {
  var isDebug = false
  assert(
    {
      isDebug = true
      return true
    }())
  return !isDebug
}()

/// Whether cases run that take long without optimization: in release builds, or when asked for.
public let runsSlowTests =
  isReleaseBuild || ProcessInfo.processInfo.environment["SEMG_ALL_TESTS"] == "1"
