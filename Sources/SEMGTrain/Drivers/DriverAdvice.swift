import ComputeOpenCL
import Foundation

/// What somebody who misses a device should look at.
struct DriverAdvice {
  let survey: OpenCLSurvey
  let drivers: OpenCLDriverList
  /// Installed, but named by no file of the list.
  let unlisted: String?

  init(_ survey: OpenCLSurvey, trials: DriverTrials) {
    self.survey = survey
    drivers = trials.driverList()
    unlisted = trials.unlistedNVIDIADriver(beside: drivers)
  }

  /// A sentence each; none where there is nothing to say.
  var sentences: [String] {
    var found: [String] = []
    if drivers.entries.isEmpty, survey.platforms.isEmpty {
      found.append("\(drivers.place) lists no OpenCL driver")
    }
    found += drivers.entries.compactMap { entry in
      entry.fault.map { "\(entry.source) names a driver that does not load: \($0)" }
    }
    if let unlisted {
      found.append(
        "\(unlisted) is installed, but not listed: write its name into "
          + "/etc/OpenCL/vendors/nvidia.icd")
    }
    let loaded = drivers.entries.filter { $0.fault == nil }.map(\.library)
    if survey.wasMade, survey.devices.isEmpty, !loaded.isEmpty {
      found.append(
        "loaded and shows no device: \(loaded.joined(separator: ", ")); \(Self.nodes())")
    }
    return found
  }

  /// What the kernel lets this user open.
  static func nodes(in folder: String = "/dev/dri") -> String {
    let names = (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []
    let nodes = names.filter { $0.hasPrefix("renderD") }.sorted().map { "\(folder)/\($0)" }
    guard !nodes.isEmpty else {
      return "\(folder) holds no renderD…: the kernel's driver is not loaded, or a container was "
        + "started without --device /dev/dri (NVIDIA: --gpus all; AMD: --device /dev/kfd, too)"
    }
    let closed = nodes.filter { access($0, R_OK | W_OK) != 0 }
    guard closed.isEmpty else {
      return "this user may not open \(closed.joined(separator: ", ")): join the group render "
        + "(sudo usermod -aG render,video $USER) and log in again"
    }
    return nodes.joined(separator: ", ")
      + " can be opened: check that the driver is one for this GPU"
  }
}
