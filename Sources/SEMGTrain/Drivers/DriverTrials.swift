import Compute
import ComputeOpenCL
import Foundation

/// Tries OpenCL's drivers in a process of its own before this one relies on them: one that crashes
/// or hangs there costs a sentence.
final class DriverTrials {
  private var process: DriverProcess?
  /// Of a survey.
  private static let surveySeconds = 60
  /// Of loading one driver.
  private static let loadSeconds = 20
  /// Of a self-check, by default: a dozen programs, compiled by the slowest of drivers.
  private static let usualSeconds = 180

  /// Seconds of a self-check, from `SEMG_SELF_CHECK_SECONDS` where that is a whole number.
  static var seconds: Int {
    let wanted = ProcessInfo.processInfo.environment["SEMG_SELF_CHECK_SECONDS"].flatMap { Int($0) }
    return wanted.map { min(max($0, 1), 86_400) } ?? usualSeconds
  }

  /// Every device, unless a driver fails as it is asked for them: that is the survey's failure then.
  func survey() -> OpenCLSurvey {
    guard OpenCLDriverList.listsAny else { return OpenCLSurvey() }
    do throws(DriverProcess.Failure) {
      _ = try ask(.survey, seconds: min(Self.surveySeconds, Self.seconds))
    } catch {
      guard let how = error.sentence(during: "as it was asked for its devices") else {
        return OpenCLSurvey()
      }
      return OpenCLSurvey(
        unmade: .unavailable(
          device: "OpenCL", reason: "a driver \(how). --device cpu asks no driver"))
    }
    return OpenCLSurvey()
  }

  /// Whether a device computes rightly, and by which path.
  func selfCheck(
    _ device: OpenCLDeviceDescription, _ arithmetic: OpenCLDevice.Arithmetic
  ) -> DriverAnswer {
    do throws(DriverProcess.Failure) {
      return try ask(.selfCheck(DeviceKey(device), arithmetic), seconds: Self.seconds)
    } catch {
      guard let how = error.sentence(during: "in its self-check") else {
        return SelfCheckReport.answer(of: device, arithmetic)
      }
      return DriverAnswer(
        refusal: SelfCheckReport.refusal(of: device.title, index: device.index, what: how))
    }
  }

  /// Whether a device has tensor cores that we can use.
  func tensorCores(of device: OpenCLDeviceDescription) -> TensorCoreVerdict {
    if let reason = device.tensorCoreObstacle { return .refused(reason: reason) }
    do throws(DriverProcess.Failure) {
      let answer = try ask(.tensorCores(DeviceKey(device)), seconds: Self.seconds)
      return answer.tensorCores ?? .refused(reason: answer.refusal ?? "it gives no answer")
    } catch {
      guard let how = error.sentence(during: "in the probe") else {
        return TensorCores.probe(device)
      }
      return .refused(reason: "its driver \(how)")
    }
  }

  /// Which drivers the loader is told of, and why one does not load. Each is loaded by a process of
  /// its own: loaded twice, or beside others, some end it.
  func driverList() -> OpenCLDriverList {
    OpenCLDriverList { fault(of: $0) }
  }

  /// NVIDIA's driver, where it is installed and no file of the list names it.
  func unlistedNVIDIADriver(beside drivers: OpenCLDriverList) -> String? {
    let name = OpenCLDriverList.nvidiaLibrary
    let isListed = drivers.entries.contains { $0.library.firstRange(of: "nvidia") != nil }
    return isListed || fault(of: name) != nil ? nil : name
  }

  private func fault(of library: String) -> String? {
    end()
    defer { end() }
    do throws(DriverProcess.Failure) {
      return try ask(
        .load(library: library), seconds: min(Self.loadSeconds, Self.seconds)
      ).refusal
    } catch {
      guard let how = error.sentence(during: "as it was loaded") else {
        return "it was not tried: no process can be started"
      }
      return "it \(how)"
    }
  }

  /// Ends the process; a further question starts another.
  func end() { process = nil }

  private func ask(
    _ request: DriverRequest, seconds: Int
  ) throws(DriverProcess.Failure) -> DriverAnswer {
    do throws(DriverProcess.Failure) {
      let running = if let process { process } else { try DriverProcess() }
      process = running
      return try running.ask(request, seconds: seconds)
    } catch {
      process = nil
      throw error
    }
  }
}

extension DriverProcess.Failure {
  /// "crashed in its self-check: …"; nil where no process could be started, and nothing was tried.
  func sentence(during what: String) -> String? {
    func said(_ words: String) -> String { words.isEmpty ? "" : "; it last said: \(words)" }
    switch self {
    case .unavailable: return nil
    case .crashed(let signal, let words):
      return
        "crashed \(what): \(String(cString: strsignal(signal))) (signal \(signal))\(said(words))"
    case .ended(let status, let words):
      return "ended the process \(what), with status \(status)\(said(words))"
    case .tookTooLong(let seconds):
      return "did not come back \(what) within \(seconds) seconds and was stopped "
        + "(SEMG_SELF_CHECK_SECONDS allows more)"
    case .answeredNonsense: return "answered nonsense \(what)"
    }
  }
}
