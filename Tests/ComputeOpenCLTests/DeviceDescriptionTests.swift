import COpenCL
import Compute
import Foundation
import Testing

@testable import ComputeOpenCL

struct DeviceDescriptionTests {
  private typealias Standing = OpenCLDeviceDescription.Standing

  private func standing(
    _ kind: OpenCLDeviceDescription.Kind, sharesHostMemory: Bool = false, memory: Int = 8,
    computeUnits: Int = 10, clock: Int = 1000, index: Int = 0
  ) -> OpenCLDeviceDescription.Standing {
    Standing(
      kind: kind, sharesHostMemory: sharesHostMemory, memory: memory, computeUnits: computeUnits,
      clockMegahertz: clock, index: index)
  }

  /// Some drivers fail to build with an option that they do not offer.
  @Test(.needsOpenCL) func divisionsAreToBeRoundedWhereTheDeviceOffersThat() throws {
    let description = try #require(TestDevice.all.first)
    var offers: cl_device_fp_config = 0
    let status = clGetDeviceInfo(
      description.device, cl_device_info(CL_DEVICE_SINGLE_FP_CONFIG),
      MemoryLayout.size(ofValue: offers), &offers, nil)
    try #require(status == CL_SUCCESS)
    let options = try OpenCLContext(description, cache: nil).buildOptions([:])
    #expect(
      options.contains("-cl-fp32-correctly-rounded-divide-sqrt")
        == (offers & cl_device_fp_config(CL_FP_CORRECTLY_ROUNDED_DIVIDE_SQRT) != 0))
  }

  @Test func kindCountsFirstThenOwnMemoryThenItsSizeThenArithmeticThenTheLoadersOrder() {
    let best = [
      standing(.gpu, memory: 80, computeUnits: 5, index: 5),
      standing(.gpu, memory: 24, computeUnits: 20, index: 4),
      standing(.gpu, memory: 24, computeUnits: 19, clock: 1001, index: 3),
      standing(.gpu, memory: 24, computeUnits: 19, clock: 1000, index: 6),
      standing(.gpu, memory: 24, computeUnits: 19, clock: 1000, index: 7),
      standing(.gpu, sharesHostMemory: true, memory: 512, index: 2),
      standing(.accelerator, memory: 1024, index: 1),
      standing(.cpu, memory: 2048, computeUnits: 512, index: 0),
      standing(.other, memory: 4096, index: 8),
    ]
    #expect(best.reversed().sorted() == best)
  }

  @Test(.needsOpenCL) func everyDeviceDescribesItself() throws {
    let survey = OpenCLSurvey()
    #expect(survey.failure == nil)
    #expect(survey.devices.map(\.index) == Array(survey.devices.indices))
    #expect(survey.platforms.reduce(0) { $0 + $1.deviceCount } == survey.devices.count)
    for device in survey.devices {
      #expect(!device.name.isEmpty && !device.platformName.isEmpty && !device.driver.isEmpty)
      #expect(device.version.hasPrefix("OpenCL "))
      #expect(device.languageVersion.hasPrefix("OpenCL C "))
      #expect(device.memory >= device.maximumAllocation && device.maximumAllocation > 1 << 20)
      #expect(device.localMemory >= 16 << 10)
      #expect(device.maximumWorkGroup >= 1 && device.computeUnits >= 1)
      #expect(device.baseAddressAlignment >= 4)
      #expect(device.fault == nil)
    }
  }

  /// A device of several types is used as the best of them.
  @Test(.needsOpenCL) func typesAreBits() throws {
    for device in OpenCLSurvey().devices {
      #expect(device.isGPU == (device.type & semg_CL_DEVICE_TYPE_GPU != 0))
      #expect(!device.isGPU || device.kind == .gpu)
    }
  }

  /// As the loader does: a file's bare name is looked for in the usual place.
  @Test(.needsOpenCL) func oneDriverMayBeNamedInPlaceOfAFolder() {
    func entries(_ place: String) -> [OpenCLDriverList.Entry] {
      OpenCLDriverList(environment: ["OCL_ICD_VENDORS": place], probe: { _ in nil }).entries
    }
    let names = try? FileManager.default.contentsOfDirectory(atPath: "/etc/OpenCL/vendors")
    for name in names ?? [] where name.hasSuffix(".icd") {
      #expect(entries(name).map(\.source) == ["/etc/OpenCL/vendors/\(name)"])
    }
    #expect(entries("libnowhere.so.1").map(\.library) == ["libnowhere.so.1"])
    #expect(entries("nowhere.icd").isEmpty)
  }

  @Test func driversThatDoNotLoadAreNamed() throws {
    let folder = FileManager.default.temporaryDirectory.appending(
      path: "semg-train-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: folder) }
    func list() -> OpenCLDriverList {
      OpenCLDriverList(environment: ["OCL_ICD_VENDORS": folder.path])
    }
    #expect(list().entries.isEmpty)
    try "libc.so.6\n".write(
      to: folder.appending(path: "a.icd"), atomically: false, encoding: .utf8)
    try "libnowhere.so.1\r\n".write(
      to: folder.appending(path: "b.icd"), atomically: false, encoding: .utf8)
    try "".write(to: folder.appending(path: "c.icd"), atomically: false, encoding: .utf8)
    try "libnowhere.so.2".write(
      to: folder.appending(path: "d.txt"), atomically: false, encoding: .utf8)
    let entries = list().entries
    #expect(entries.map(\.library) == ["libc.so.6", "libnowhere.so.1\r", ""])
    #expect(entries[0].fault == nil)
    #expect(entries[1].fault?.contains("write libnowhere.so.1 and a line feed") == true)
    #expect(entries[2].fault == "the file names no library")
  }
}
