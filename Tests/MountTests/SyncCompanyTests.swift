import Testing

@testable import Mount

@Suite struct SyncCompanyTests {
    @Test func `who syncs alone keeps the reader's role`() {
        let company = SyncCompany()
        for _ in 0..<100 { #expect(!company.handsOn(hasWaiting: false)) }
    }

    @Test func `a request that waits gets a reader, and so it is expected for a while`() {
        let company = SyncCompany()
        #expect(company.handsOn(hasWaiting: true))
        for _ in 0..<SyncCompany.memory { #expect(company.handsOn(hasWaiting: false)) }
        #expect(!company.handsOn(hasWaiting: false))
    }

    @Test func `a sync that held up others is the last one in place`() {
        let company = SyncCompany()
        #expect(!company.handsOn(hasWaiting: false))
        company.noteHeldUp()
        #expect(company.handsOn(hasWaiting: false))
    }
}
