import ComputeCPU
import ComputeOpenCL
import Foundation

/// A line of `semg-train devices`; the names are those of the JSON.
struct DeviceLine: Encodable {
  struct SelfCheck: Encodable {
    let passes: Bool
    let fault: String?
    let startSeconds: Double?
    let warmStartSeconds: Double?
    /// Paths of half precision that pass: `storage`, `native`.
    let fp16Paths: [String]
    /// What the check built, where it came to its end.
    let builds: BuildReport?
    /// The same of each path of half precision.
    let fp16Builds: [String: BuildReport]

    enum CodingKeys: String, CodingKey {
      case passes, fault, builds
      case startSeconds = "start_seconds"
      case warmStartSeconds = "warm_start_seconds"
      case fp16Paths = "fp16_paths"
      case fp16Builds = "fp16_builds"
    }
  }

  let index: Int
  /// What to type: `gpu:0`, `cpu`.
  let device: String
  let name: String
  let type: String
  let platform: String
  let driver: String
  let memoryBytes: Int
  let fp16: Bool
  let tensorCores: Bool
  /// Why it has none that could be used.
  let tensorCoresReason: String?
  let chosenBy: [String]
  var subGroups = false
  var vendor: String?
  var platformVersion: String?
  var openclVersion: String?
  var openclCVersion: String?
  var maximumAllocationBytes: Int?
  var localMemoryBytes: Int?
  var maximumWorkGroup: Int?
  var computeUnits: Int?
  var cachesPrograms: Bool?
  var selfCheck: SelfCheck?

  enum CodingKeys: String, CodingKey {
    case index, device, name, type, platform, driver, fp16, vendor
    case memoryBytes = "memory_bytes"
    case tensorCores = "tensor_cores"
    case tensorCoresReason = "tensor_cores_reason"
    case chosenBy = "chosen_by"
    case subGroups = "sub_groups"
    case platformVersion = "platform_version"
    case openclVersion = "opencl_version"
    case openclCVersion = "opencl_c_version"
    case maximumAllocationBytes = "maximum_allocation_bytes"
    case localMemoryBytes = "local_memory_bytes"
    case maximumWorkGroup = "maximum_work_group"
    case computeUnits = "compute_units"
    case cachesPrograms = "caches_programs"
    case selfCheck = "self_check"
  }

  init(
    _ device: OpenCLDeviceDescription, trial: DeviceTrial?, tensorCores: TensorCoreVerdict,
    chosenBy: [String]
  ) {
    index = device.index
    self.device = "gpu:\(device.index)"
    name = device.name
    type = device.kindName
    platform = device.platformName
    driver = device.driver
    memoryBytes = device.memory
    fp16 = device.hasFP16
    self.tensorCores = tensorCores.isUsable
    tensorCoresReason = tensorCores.reason
    self.chosenBy = chosenBy
    subGroups = device.hasSubGroups
    vendor = device.vendor
    platformVersion = device.platformVersion
    openclVersion = device.version
    openclCVersion = device.languageVersion
    maximumAllocationBytes = device.maximumAllocation
    localMemoryBytes = device.localMemory
    maximumWorkGroup = device.maximumWorkGroup
    computeUnits = device.computeUnits
    cachesPrograms = device.cachesPrograms
    selfCheck = trial.map {
      SelfCheck(
        passes: $0.fault == nil, fault: $0.fault, startSeconds: $0.startSeconds,
        warmStartSeconds: $0.warmStartSeconds,
        fp16Paths: $0.halfFaults.filter { $0.fault == nil }.map { $0.path.rawValue },
        builds: $0.builds.map(BuildReport.init),
        fp16Builds: Dictionary(
          uniqueKeysWithValues: $0.halfFaults.compactMap { half in
            half.builds.map { (half.path.rawValue, BuildReport($0)) }
          }))
    }
  }

  init(backend: CPUDevice, index: Int, chosenBy: [String]) {
    self.index = index
    device = "cpu"
    name = backend.name
    type = "cpu"
    platform = "oneDNN"
    driver = Version.oneDNN
    memoryBytes = Int(clamping: ProcessInfo.processInfo.physicalMemory)
    fp16 = false
    tensorCores = false
    tensorCoresReason = nil
    self.chosenBy = chosenBy
  }

  static func table(_ lines: [DeviceLine]) -> String {
    var table = TextTable(
      header: ["device", "type", "memory", "fp16", "sub-groups", "tensor cores", "taken by"])
    func word(_ isTrue: Bool) -> String { isTrue ? "yes" : "no" }
    for line in lines {
      let place = line.device == "cpu" ? line.name : "\(line.name) (\(line.platform))"
      table.append([
        "\(line.device)  \(place)", line.type, Figure.bytes(line.memoryBytes), word(line.fp16),
        word(line.subGroups), word(line.tensorCores), line.chosenBy.joined(separator: ", "),
      ])
    }
    return table.text(within: Console.outputColumns)
  }
}

extension OpenCLDeviceDescription {
  /// Everything about it, a line each.
  func details(trial: DeviceTrial?, tensorCores: TensorCoreVerdict) -> String {
    func yes(_ isTrue: Bool) -> String { isTrue ? "yes" : "no" }
    var rows = [
      ("vendor", vendor), ("platform", "\(platformName), \(platformVersion)"),
      ("driver", driver), ("version", "\(version); \(languageVersion)"),
      ("compute units", "\(computeUnits) at \(clockMegahertz) MHz"),
      ("memory", Figure.bytes(memory) + (sharesHostMemory ? ", the host's" : "")),
      ("largest allocation", Figure.bytes(maximumAllocation)),
      ("local memory", "\(localMemory / 1024) KiB a work-group"),
      ("largest work-group", "\(maximumWorkGroup)"),
      ("base address alignment", "\(baseAddressAlignment) bytes"),
      ("arithmetic in fp16", yes(hasFP16)), ("sub-groups", yes(hasSubGroups)),
      ("tensor cores", tensorCores.reason.map { "no: \($0)" } ?? "yes, a probe passes"),
      ("programs kept on disk by", cachesPrograms ? "the platform" : "semg-train"),
    ]
    if let capability = computeCapability {
      rows.append(("compute capability", "\(capability.major).\(capability.minor)"))
    }
    if let trial { rows += trial.rows }
    let width = rows.map(\.0.count).max() ?? 0
    return "gpu:\(index)  \(name)\n"
      + rows.map { label, value in
        let lines = value.split(whereSeparator: \.isNewline)
        return "  \(label)" + String(repeating: " ", count: width - label.count + 2)
          + lines.joined(separator: "\n" + String(repeating: " ", count: width + 4))
      }.joined(separator: "\n")
  }
}

extension DeviceTrial {
  fileprivate var rows: [(String, String)] {
    var rows = [("self-check", fault == nil ? "passed" : "failed")]
    if let startSeconds {
      rows.append(("start and self-check", "\(Figure.fixed(startSeconds, 2)) s"))
    }
    if let warmStartSeconds {
      rows.append(("the same again", "\(Figure.fixed(warmStartSeconds, 2)) s"))
    }
    if let builds { rows += BuildReport(builds).rows }
    for (path, fault, builds) in halfFaults {
      let label = path == .storage ? "fp16 in memory, fp32 computed" : "fp16 in products, too"
      let verdict = fault == nil ? "self-check passed" : "self-check failed"
      rows.append((label, verdict + (builds.map { ", \(BuildReport($0).sentence)" } ?? "")))
    }
    return rows
  }
}
